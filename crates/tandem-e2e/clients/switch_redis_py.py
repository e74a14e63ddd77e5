"""redis-py through a change of primary: python switch_redis_py.py MODE TARGETS PAIR NAME.

MODE is sentinel, sentinel-async, plain or plain-async; TARGETS are Sentinel ports, or one client port.
Writes until standard input ends; one line per write: begin, end (microseconds since 1970), what.
"""

import asyncio
import sys
import threading
import time

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.backoff
import redis.retry
import redis.sentinel

mode, targets, pair, name = sys.argv[1:5]
targets = [(host, int(port)) for host, port in (t.split(":") for t in targets.split(","))]
REST = 0.025
# What docs/clients.md recommends: short tries instead of three long ones. Not too many: after an error in
# the middle of a command the library tries the same address again, and asks a Sentinel only afterwards.
TUNED = {"socket_timeout": 2, "socket_connect_timeout": 0.5, "client_name": name}
ASK = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
ONCE = (redis.backoff.NoBackoff(), 0)  # a Sentinel that is gone is no reason to wait: there are others
TRIES = (redis.backoff.ConstantBackoff(0.05), 20)
over = threading.Event()


def now():
    return time.time_ns() // 1000


def say(begun, what):
    print(begun, now(), str(what).replace("\n", " "), flush=True)


def client():
    if mode == "sentinel":
        retry = redis.retry.Retry(*TRIES)
        ask = {**ASK, "retry": redis.retry.Retry(*ONCE)}
        sentinel = redis.sentinel.Sentinel(targets, sentinel_kwargs=ask)
        return sentinel.master_for(pair, retry=retry, **TUNED)
    if mode == "sentinel-async":
        retry = redis.asyncio.retry.Retry(*TRIES)
        ask = {**ASK, "retry": redis.asyncio.retry.Retry(*ONCE)}
        sentinel = redis.asyncio.sentinel.Sentinel(targets, sentinel_kwargs=ask)
        return sentinel.master_for(pair, retry=retry, **TUNED)
    host, port = targets[0]
    if mode == "plain":
        return redis.Redis(host, port, retry=redis.retry.Retry(*TRIES), **TUNED)
    retry = redis.asyncio.retry.Retry(*TRIES)
    return redis.asyncio.Redis(host=host, port=port, retry=retry, **TUNED)


def work(r):
    number = 0
    while not over.is_set():
        number += 1
        for call in (
            lambda: f"incr {r.incr(name)}",
            lambda: r.set(f"{name}:{number}", number) and f"set {number}",
        ):
            begun = now()
            try:
                say(begun, call())
            except Exception as error:
                say(begun, f"err {type(error).__name__} {error}")
        time.sleep(REST)


async def work_async(r):
    async def incr():
        return f"incr {await r.incr(name)}"

    async def put(number):
        await r.set(f"{name}:{number}", number)
        return f"set {number}"

    number = 0
    while not over.is_set():
        number += 1
        for call in (incr(), put(number)):
            begun = now()
            try:
                say(begun, await call)
            except Exception as error:
                say(begun, f"err {type(error).__name__} {error}")
        await asyncio.sleep(REST)


async def main():
    await work_async(client())


threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
if mode.endswith("async"):
    asyncio.run(main())
else:
    work(client())
