// Node's libraries through a change of primary: node switch_node.cjs MODE TARGETS PAIR NAME.
// MODE is ioredis, ioredis-detector, node-redis or node-redis-plain; TARGETS are Sentinel ports, or one
// client port. Writes until standard input ends; one line per write: begin, end (microseconds), what.
const [mode, targetsText, pair, name] = process.argv.slice(2);
const targets = targetsText.split(",").map((target) => {
  const [host, port] = target.split(":");
  return { host, port: Number(port) };
});
const REST = 25;
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const say = (begun, what) => console.log(begun, now(), String(what).replaceAll("\n", " "));
let over = false;
process.stdin.on("end", () => (over = true)).resume();
process.on("unhandledRejection", (error) => say(now(), "note unhandled " + error));

async function client() {
  if (mode.startsWith("ioredis")) {
    const Redis = require("ioredis");
    const r = new Redis({
      sentinels: targets,
      name: pair,
      connectionName: name,
      failoverDetector: mode === "ioredis-detector",
      // What docs/clients.md recommends.
      sentinelRetryStrategy: () => 50,
      retryStrategy: () => 50,
      connectTimeout: 500,
      commandTimeout: 5000,
      maxRetriesPerRequest: null,
    });
    r.on("error", () => {});
    // A message of the detector that comes while the library connects ends it for good (ioredis 6.0).
    if (mode === "ioredis-detector") r.on("end", () => over || r.connect().catch(() => {}));
    return r;
  }
  const { createClient, createSentinel } = require("redis");
  const socket = { connectTimeout: 500, reconnectStrategy: () => 50 };
  const made =
    mode === "node-redis"
      ? createSentinel({
          name: pair,
          sentinelRootNodes: targets,
          nodeClientOptions: { name, socket },
          sentinelClientOptions: { socket: { connectTimeout: 500, reconnectStrategy: false } },
          maxCommandRediscovers: 200,
          scanInterval: 250,
        })
      : createClient({ socket: { ...targets[0], ...socket }, name, RESP: 3 });
  made.on("error", () => {});
  await made.connect();
  return made;
}

async function main() {
  const r = await client();
  for (let number = 1; !over; number++) {
    const calls = [
      async () => "incr " + (await r.incr(name)),
      async () => {
        await r.set(`${name}:${number}`, String(number));
        return "set " + number;
      },
    ];
    for (const call of calls) {
      const begun = now();
      try {
        say(begun, await call());
      } catch (error) {
        say(begun, "err " + error);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, REST));
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
