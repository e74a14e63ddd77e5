"""A small typical program with redis-py: python redis_py.py HOST PORT PROTOCOL.

Every check asserts; a failure ends the program with a traceback and status 1.
"""

import sys
import threading
import time

import redis

host, port, protocol = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
r = redis.Redis(host, port, protocol=protocol, decode_responses=True, client_name="redis-py-e2e")
r.flushall()
assert r.ping()
assert r.client_getname() == "redis-py-e2e"
assert any(c["name"] == "redis-py-e2e" for c in r.client_list())

# strings, expiry
assert r.set("s", "v", ex=100, nx=True) is True
assert r.set("s", "w", nx=True) is None
assert r.get("s") == "v" and 90 < r.ttl("s") <= 100
assert r.set("s", "w", get=True) == "v"
assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "none") == ["1", "2", None]
assert r.incrby("a", 5) == 6 and r.incrbyfloat("a", 0.5) == 6.5
assert r.getdel("b") == "2" and r.exists("b") == 0

# hashes, lists, sets, sorted sets
assert r.hset("h", mapping={"f": "1", "g": "2"}) == 2
assert r.hgetall("h") == {"f": "1", "g": "2"}
assert r.rpush("l", "a", "b", "c") == 3 and r.lrange("l", 0, -1) == ["a", "b", "c"]
assert r.lmove("l", "m", "LEFT", "RIGHT") == "a"
assert r.sadd("set", "x", "y") == 2 and r.smembers("set") == {"x", "y"}
assert r.zadd("z", {"one": 1, "two": 2.5}) == 2
assert [tuple(p) for p in r.zrange("z", 0, -1, withscores=True)] == [("one", 1.0), ("two", 2.5)]
assert r.zrank("z", "two") == 1 and r.zscore("z", "two") == 2.5
assert list(r.zrangebyscore("z", "(1", "+inf")) == ["two"]

# scan
r.mset({f"scan:{i}": i for i in range(1000)})
assert len(set(r.scan_iter("scan:*", count=50))) == 1000

# pipeline, transaction, optimistic locking
with r.pipeline(transaction=False) as p:
    for i in range(1000):
        p.set(f"p{i}", i)
    assert p.execute() == [True] * 1000
with r.pipeline() as p:
    p.multi()
    p.incr("n")
    p.incr("n")
    p.get("n")
    assert p.execute() == [1, 2, "2"]


def transfer(p):
    value = int(p.get("n"))
    p.multi()
    p.set("n", value * 10)


r.transaction(transfer, "n")
assert r.get("n") == "20"
with r.pipeline() as p:
    p.watch("n")
    r.set("n", "other")
    p.multi()
    p.set("n", "mine")
    try:
        p.execute()
        raise AssertionError("a watched key changed")
    except redis.WatchError:
        pass

# errors
for call in (lambda: r.lpush("s", "x"), lambda: r.execute_command("NOSUCH")):
    try:
        call()
        raise AssertionError("no error")
    except redis.ResponseError:
        pass

# pub/sub
pubsub = r.pubsub()
pubsub.subscribe("c")
pubsub.psubscribe("p*")
seen = []
while len(seen) < 2:
    message = pubsub.get_message(timeout=5)
    assert message, "no confirmation"
    seen.append(message["type"])
assert seen == ["subscribe", "psubscribe"]
assert r.publish("c", "hello") == 1 and r.publish("px", "pattern") == 1
got = []
while len(got) < 2:
    message = pubsub.get_message(timeout=5)
    assert message, "no message"
    got.append((message["type"], message["channel"], message["data"]))
assert got == [("message", "c", "hello"), ("pmessage", "px", "pattern")]
pubsub.close()

# blocking pops
result = []
thread = threading.Thread(target=lambda: result.append(r.blpop(["q"], timeout=5)))
thread.start()
deadline = time.time() + 5
while r.info("clients")["blocked_clients"] == 0 and time.time() < deadline:
    time.sleep(0.01)
r.rpush("q", "job")
thread.join()
assert [tuple(x) for x in result] == [("q", "job")], result
assert r.blpop(["q"], timeout=0.1) is None
assert r.bzpopmin("nothing", timeout=0.1) is None

# a simple lock as libraries make it (SET NX PX and a token)
assert r.set("lock", "token", nx=True, px=5000)
assert not r.set("lock", "other", nx=True, px=5000)
assert r.delete("lock") == 1

# scripts: redis-py's own lock is three of them
with r.lock("the lock", timeout=5) as lock:
    assert lock.locked() and lock.owned()
    assert not r.lock("the lock", timeout=5, blocking=False).acquire()
    lock.extend(5)
    lock.reacquire()
assert not r.exists("the lock")
limiter = r.register_script(
    "local n = redis.call('INCR', KEYS[1])"
    " if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return n"
)
r.script_flush()
assert [limiter(keys=["limit"], args=[60000]) for _ in range(3)] == [1, 2, 3]
assert 0 < r.pttl("limit") <= 60000
assert r.script_exists(limiter.sha) == [True]
pipe = r.pipeline()
limiter(keys=["limit"], args=[60000], client=pipe)
pipe.get("limit")
assert pipe.execute() == [4, "4"]
try:
    r.eval("return redis.call('LPUSH', KEYS[1], 'x')", 1, "s")
    raise SystemExit("a wrong type must be an error")
except redis.ResponseError as error:
    assert "WRONGTYPE" in str(error), error

assert r.info()["redis_mode"] == "standalone"
assert r.dbsize() > 2000
r.select(1) if hasattr(r, "select") else None
other = redis.Redis(host, port, db=1, protocol=protocol, decode_responses=True)
assert other.get("s") is None
print("ok", redis.__version__)
