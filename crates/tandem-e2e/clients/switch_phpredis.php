<?php
// phpredis through Sentinel: php switch_phpredis.php TARGETS PAIR NAME.
// The extension has no reconnecting client: the application asks a Sentinel for the address and tries
// again, as docs/clients.md shows. Writes until standard input ends; one line per write: begin, end
// (microseconds since 1970), what.
[, $targets, $pair, $name] = $argv;

function micros(): int { return (int) (microtime(true) * 1e6); }

function connect(string $targets, string $pair, string $name): Redis
{
    foreach (explode(',', $targets) as $target) {
        [$host, $port] = explode(':', $target);
        try {
            $sentinel = new RedisSentinel($host, (int) $port, 0.5, null, 0, 0.5);
            $address = $sentinel->getMasterAddrByName($pair);
            if (!$address) {
                continue;
            }
            $redis = new Redis();
            $redis->connect($address[0], (int) $address[1], 0.5, null, 0, 2.0);
            $redis->client('setname', $name);
            return $redis;
        } catch (RedisException $error) {
            continue;
        }
    }
    throw new RedisException('no Sentinel tells of a primary that answers');
}

// A connection that ended is one try more, with another connection. The application sees each error.
function attempt(callable $call, ?Redis &$redis, string $targets, string $pair, string $name): string
{
    for ($try = 0; ; $try++) {
        try {
            $redis ??= connect($targets, $pair, $name);
            return $call($redis);
        } catch (RedisException $error) {
            $redis = null;
            $now = micros();
            echo "$now $now err ", str_replace("\n", ' ', $error->getMessage()), "\n";
            if ($try == 100) {
                throw $error;
            }
            usleep(50_000);
        }
    }
}

stream_set_blocking(STDIN, false);
$redis = null;
for ($number = 1; ; $number++) {
    fread(STDIN, 1);
    if (feof(STDIN)) {
        break;
    }
    $calls = [
        fn (Redis $redis) => 'incr ' . $redis->incr($name),
        fn (Redis $redis) => $redis->set("$name:$number", $number) ? "set $number" : throw new RedisException('set failed'),
    ];
    foreach ($calls as $call) {
        $begun = micros();
        $what = attempt($call, $redis, $targets, $pair, $name);
        echo $begun, ' ', micros(), ' ', str_replace("\n", ' ', $what), "\n";
    }
    usleep(25_000);
}
