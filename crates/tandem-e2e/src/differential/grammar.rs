//! Which commands are tried, as templates.
//!
//! A template is a line of words. Capitals are sent as they are; `A|B|` is one of the choices, the empty
//! one leaves the word out; lower case names a kind of argument, and `*` after it means one to four:
//!
//! ```text
//! k key   v value   i integer (edges included)   n small count   f float   m member or field
//! s score   b score bound   l lexical bound   t seconds, far away   p glob pattern   o offset
//! lon lat coordinates   d distance
//! e entry id   r end of a range of entries   g group   c consumer
//! mv field and value   sm score and member   zm score 0 and member  kv key and value   nk number of keys and so many keys
//! ```

use super::compare::Rule;

/// A family of commands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Strings and numbers.
    Strings,
    /// Commands on keys of any type, expiry.
    Keys,
    /// Lists.
    Lists,
    /// Hashes.
    Hashes,
    /// Sets.
    Sets,
    /// Sorted sets by rank and score.
    SortedSets,
    /// Sorted sets by member, all scores equal.
    LexicalSets,
    /// Streams and their groups.
    Streams,
    /// Places.
    Places,
    /// All of the above inside MULTI.
    Transactions,
    /// Wrong numbers of arguments, wrong words.
    Mistakes,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Strings,
        Self::Keys,
        Self::Lists,
        Self::Hashes,
        Self::Sets,
        Self::SortedSets,
        Self::LexicalSets,
        Self::Streams,
        Self::Places,
        Self::Transactions,
        Self::Mistakes,
    ];

    /// Its templates.
    pub fn templates(self) -> Vec<&'static str> {
        match self {
            Self::Strings => STRINGS.to_vec(),
            Self::Keys => KEYS.to_vec(),
            Self::Lists => LISTS.to_vec(),
            Self::Hashes => HASHES.to_vec(),
            Self::Sets => SETS.to_vec(),
            Self::SortedSets => SORTED_SETS.to_vec(),
            Self::LexicalSets => LEXICAL_SETS.to_vec(),
            Self::Streams => STREAMS.to_vec(),
            Self::Places => PLACES.to_vec(),
            Self::Transactions | Self::Mistakes => {
                [STRINGS, KEYS, LISTS, HASHES, SETS, SORTED_SETS, STREAMS, PLACES].concat()
            }
        }
    }
}

const STRINGS: &[&str] = &[
    "SET k v",
    "SET k i",
    "SET k f",
    "SET k v NX|XX|GET",
    "SET k v EX|PX|EXAT|PXAT t NX|XX| GET|",
    "SET k v KEEPTTL GET|",
    "SET k v EX i",
    "SETNX k v",
    "SETEX k t v",
    "PSETEX k t v",
    "GET k",
    "GETSET k v",
    "GETDEL k",
    "GETEX k",
    "GETEX k EX|PX|EXAT|PXAT t",
    "GETEX k PERSIST",
    "MGET k*",
    "MSET kv*",
    "MSETNX kv*",
    "INCR k",
    "DECR k",
    "INCRBY k i",
    "DECRBY k i",
    "INCRBYFLOAT k f",
    "APPEND k v",
    "STRLEN k",
    "GETRANGE k i i",
    "SUBSTR k n n",
    "SETRANGE k o v",
    "SETRANGE k n v",
    "LCS k k",
    "LCS k k LEN",
];

const KEYS: &[&str] = &[
    "SET k v",
    "RPUSH k v*",
    "SADD k m*",
    "HSET k mv*",
    "ZADD k sm*",
    "DEL k*",
    "UNLINK k*",
    "EXISTS k*",
    "TOUCH k*",
    "TYPE k",
    "RENAME k k",
    "RENAMENX k k",
    "COPY k k REPLACE|",
    "EXPIRE k t NX|XX|GT|LT|",
    "PEXPIRE k t NX|XX|GT|LT|",
    "EXPIREAT k t",
    "PEXPIREAT k t",
    "EXPIRE k i",
    "PERSIST k",
    "TTL k",
    "PTTL k",
    "EXPIRETIME k",
    "PEXPIRETIME k",
    "KEYS p",
    "SCAN 0 COUNT 10000",
    "SCAN 0 COUNT 10000 MATCH p",
    "SCAN 0 COUNT 10000 TYPE string|list|hash|set|zset|stream",
    "SCAN 0 COUNT 0",
    "SCAN abc",
    "SCAN 0 MATCH",
    "SCAN 0 COUNT 10000 TYPE bogus",
    "DBSIZE",
    "RANDOMKEY",
];

const LISTS: &[&str] = &[
    "RPUSH k v*",
    "RPUSH k v*",
    "LPUSH k v*",
    "RPUSHX k v*",
    "LPUSHX k v*",
    "LPOP k",
    "RPOP k",
    "LPOP k n",
    "RPOP k i",
    "LLEN k",
    "LINDEX k n",
    "LINDEX k i",
    "LSET k n v",
    "LSET k i v",
    "LRANGE k n n",
    "LRANGE k i i",
    "LTRIM k n n",
    "LINSERT k BEFORE|AFTER v v",
    "LREM k n v",
    "LREM k i v",
    "LPOS k v",
    "LPOS k v RANK n COUNT n MAXLEN n",
    "LPOS k v RANK n",
    "LPOS k v COUNT i",
    "LMOVE k k LEFT|RIGHT LEFT|RIGHT",
    "RPOPLPUSH k k",
    "LMPOP nk LEFT|RIGHT",
    "LMPOP nk LEFT|RIGHT COUNT n",
    "DEL k",
];

const HASHES: &[&str] = &[
    "HSET k mv*",
    "HSET k mv*",
    "HSET k m i",
    "HMSET k mv*",
    "HSETNX k m v",
    "HGET k m",
    "HMGET k m*",
    "HGETALL k",
    "HKEYS k",
    "HVALS k",
    "HLEN k",
    "HEXISTS k m",
    "HDEL k m*",
    "HSTRLEN k m",
    "HINCRBY k m i",
    "HINCRBYFLOAT k m f",
    "HRANDFIELD k",
    "HRANDFIELD k n",
    "HRANDFIELD k n WITHVALUES",
    "HSCAN k 0 COUNT 10000",
    "HSCAN k 0 MATCH p COUNT 10000",
    "HSCAN k 0 COUNT -1",
    "HSCAN k 0 NOVALUES",
    "DEL k",
];

const SETS: &[&str] = &[
    "SADD k m*",
    "SADD k m*",
    "SADD k i",
    "SREM k m*",
    "SMEMBERS k",
    "SISMEMBER k m",
    "SMISMEMBER k m*",
    "SCARD k",
    "SMOVE k k m",
    "SPOP k 1000",
    "SPOP k -1",
    "SRANDMEMBER k",
    "SRANDMEMBER k n",
    "SINTER k*",
    "SUNION k*",
    "SDIFF k*",
    "SINTERSTORE k k*",
    "SUNIONSTORE k k*",
    "SDIFFSTORE k k*",
    "SINTERCARD nk",
    "SINTERCARD nk LIMIT n",
    "SSCAN k 0 COUNT 10000",
    "SSCAN k 0 MATCH p COUNT 10000",
    "SSCAN k abc",
    "SPOP k abc",
    "SPOP k 1 2",
    "DEL k",
];

const SORTED_SETS: &[&str] = &[
    "ZADD k sm*",
    "ZADD k sm*",
    "ZADD k NX|XX|GT|LT| CH| sm*",
    "ZADD k NX|XX|GT|LT| CH| INCR s m",
    "ZINCRBY k s m",
    "ZREM k m*",
    "ZCARD k",
    "ZSCORE k m",
    "ZMSCORE k m*",
    "ZRANK k m",
    "ZREVRANK k m",
    "ZCOUNT k b b",
    "ZRANGE k n n WITHSCORES|",
    "ZRANGE k i i REV| WITHSCORES|",
    "ZRANGE k b b BYSCORE REV| WITHSCORES|",
    "ZRANGE k b b BYSCORE REV| LIMIT n n WITHSCORES|",
    "ZREVRANGE k n n WITHSCORES|",
    "ZRANGEBYSCORE k b b WITHSCORES|",
    "ZRANGEBYSCORE k b b WITHSCORES| LIMIT n n",
    "ZREVRANGEBYSCORE k b b WITHSCORES|",
    "ZRANGESTORE k k n n REV|",
    "ZRANGESTORE k k b b BYSCORE REV| LIMIT n n",
    "ZREMRANGEBYRANK k n n",
    "ZREMRANGEBYSCORE k b b",
    "ZPOPMIN k",
    "ZPOPMAX k",
    "ZPOPMIN k n",
    "ZPOPMAX k n",
    "ZMPOP nk MIN|MAX",
    "ZMPOP nk MIN|MAX COUNT n",
    "ZRANDMEMBER k",
    "ZRANDMEMBER k n WITHSCORES|",
    "ZUNION nk WITHSCORES|",
    "ZUNION nk AGGREGATE SUM|MIN|MAX WITHSCORES|",
    "ZINTER nk WITHSCORES|",
    "ZINTER nk AGGREGATE SUM|MIN|MAX WITHSCORES|",
    "ZDIFF nk WITHSCORES|",
    "ZUNIONSTORE k nk AGGREGATE SUM|MIN|MAX",
    "ZUNIONSTORE k 2 k k WEIGHTS f f",
    "ZINTERSTORE k 2 k k WEIGHTS f f AGGREGATE SUM|MIN|MAX",
    "ZDIFFSTORE k nk",
    "ZINTERCARD nk",
    "ZINTERCARD nk LIMIT n",
    "ZSCAN k 0 COUNT 10000",
    "SADD k m*",
    "DEL k",
];

/// How the replies of `name` are compared.
pub fn rule_of(name: &str) -> Rule {
    match name {
        "ZSCAN" => Rule::ScanScores,
        // Redis 7.2 writes the shortest text that reads back as the same score, 7.0 wrote 17 digits.
        "ZRANDMEMBER" => Rule::Shape,
        _ if name.starts_with('Z') => Rule::Scores,
        "SMEMBERS" | "SINTER" | "SUNION" | "SDIFF" | "SPOP" | "KEYS" | "HKEYS" | "HVALS" => {
            Rule::Unordered
        }
        "HGETALL" => Rule::UnorderedPairs,
        "SRANDMEMBER" | "HRANDFIELD" | "RANDOMKEY" => Rule::Shape,
        "TTL" | "EXPIRETIME" => Rule::Near(3),
        "PTTL" | "PEXPIRETIME" => Rule::Near(3_000),
        "SCAN" | "SSCAN" => Rule::Scan,
        "HSCAN" => Rule::ScanPairs,
        "GEOSEARCH"
        | "GEORADIUS"
        | "GEORADIUS_RO"
        | "GEORADIUSBYMEMBER"
        | "GEORADIUSBYMEMBER_RO" => Rule::Unordered,
        "XPENDING" | "XINFO" => Rule::NearAll(3_000),
        _ => Rule::Exact,
    }
}

/// What is not sorted by the client, or is at one place, comes in any order: `Rule::Unordered`.
const PLACES: &[&str] = &[
    "GEOADD k lon lat m",
    "GEOADD k lon lat m lon lat m",
    "GEOADD k lon lat m lon lat m lon lat m",
    "GEOADD k NX|XX|CH CH| lon lat m",
    "GEOPOS k m*",
    "GEOHASH k m*",
    "GEODIST k m m",
    "GEODIST k m m m|km|FT|mi",
    "GEOSEARCH k FROMMEMBER m BYRADIUS d m|km|ft|mi",
    "GEOSEARCH k FROMLONLAT lon lat BYRADIUS d km ASC|DESC| WITHCOORD| WITHDIST| WITHHASH|",
    "GEOSEARCH k FROMLONLAT lon lat BYBOX d d km ASC|DESC| WITHDIST|",
    "GEOSEARCH k FROMMEMBER m BYBOX d d km WITHCOORD| COUNT 100",
    "GEOSEARCH k BYRADIUS d km FROMMEMBER m ANY|",
    "GEOSEARCHSTORE k k FROMMEMBER m BYRADIUS d km STOREDIST|",
    "GEOSEARCHSTORE k k FROMLONLAT lon lat BYBOX d d km",
    "GEOSEARCHSTORE k k FROMLONLAT lon lat BYBOX d d km WITHDIST|",
    "GEORADIUS k lon lat d km WITHDIST| ASC|DESC|",
    "GEORADIUS k lon lat d km STORE|STOREDIST k",
    "GEORADIUS_RO k lon lat d km WITHHASH| COUNT 50",
    "GEORADIUS_RO k lon lat d km STORE| k",
    "GEORADIUSBYMEMBER k m d km WITHCOORD|",
    "GEORADIUSBYMEMBER k m d km STORE k",
    "GEORADIUSBYMEMBER_RO k m d km",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZREM k m",
    "DEL k",
    "SET k v",
];

const STREAMS: &[&str] = &[
    "XADD k e mv",
    "XADD k e mv*",
    "XADD k e mv*",
    "XADD k e mv",
    "XADD k MAXLEN =|~| n e mv",
    "XADD k MINID =|~| e e mv",
    "XADD k NOMKSTREAM e mv",
    "XADD k MAXLEN ~ n LIMIT n e mv",
    "XLEN k",
    "XRANGE k r r",
    "XRANGE k r r COUNT n",
    "XREVRANGE k r r",
    "XREVRANGE k r r COUNT n",
    "XDEL k e*",
    "XTRIM k MAXLEN n",
    "XTRIM k MINID e",
    "XTRIM k MAXLEN ~ n LIMIT n",
    "XTRIM k MINID = e",
    "XSETID k e",
    "XSETID k e ENTRIESADDED n MAXDELETEDID e",
    "XREAD STREAMS k e",
    "XREAD COUNT n STREAMS k k e e",
    "XREAD STREAMS k $",
    "XREAD NOACK| STREAMS k >",
    "XGROUP CREATE k g e",
    "XGROUP CREATE k g e MKSTREAM",
    "XGROUP CREATE k g 0 MKSTREAM",
    "XGROUP CREATE k g $ MKSTREAM ENTRIESREAD n",
    "XGROUP SETID k g e",
    "XGROUP SETID k g $ ENTRIESREAD n",
    "XGROUP DESTROY k g",
    "XGROUP CREATECONSUMER k g c",
    "XGROUP DELCONSUMER k g c",
    "XREADGROUP GROUP g c STREAMS k >",
    "XREADGROUP GROUP g c COUNT n STREAMS k >",
    "XREADGROUP GROUP g c COUNT n NOACK| STREAMS k k > >",
    "XREADGROUP GROUP g c STREAMS k e",
    "XREADGROUP GROUP g c COUNT n STREAMS k k e >",
    "XREADGROUP GROUP g c STREAMS k $",
    "XACK k g e*",
    "XPENDING k g",
    "XPENDING k g r r n",
    "XPENDING k g r r n c",
    "XPENDING k g IDLE 0|3600000 r r n c",
    "XCLAIM k g c 0 e*",
    "XCLAIM k g c 0 e* FORCE JUSTID|",
    "XCLAIM k g c 0|3600000 e* RETRYCOUNT n FORCE| JUSTID|",
    "XCLAIM k g c 0 e IDLE|TIME i LASTID e FORCE|",
    "XAUTOCLAIM k g c 0|3600000 r",
    "XAUTOCLAIM k g c 0 r COUNT n JUSTID|",
    "XINFO STREAM k",
    "XINFO STREAM k FULL",
    "XINFO STREAM k FULL COUNT n",
    "XINFO GROUPS k",
    "XINFO CONSUMERS k g",
    "XGROUP HELP",
    "TYPE k",
    "COPY k k REPLACE|",
    "RENAME k k",
    "DEL k",
    "SET k v",
    "EXPIRE k t",
];

/// Lexical ranges promise something only where all scores are equal.
const LEXICAL_SETS: &[&str] = &[
    "ZADD k zm*",
    "ZADD k zm*",
    "ZREM k m*",
    "ZLEXCOUNT k l l",
    "ZRANGE k l l BYLEX REV|",
    "ZRANGE k l l BYLEX REV| LIMIT n n",
    "ZRANGE k l l BYLEX REV| WITHSCORES",
    "ZRANGEBYLEX k l l",
    "ZRANGEBYLEX k l l LIMIT n n",
    "ZREVRANGEBYLEX k l l",
    "ZREVRANGEBYLEX k l l LIMIT n n",
    "ZREMRANGEBYLEX k l l",
    "ZRANGESTORE k k l l BYLEX REV| LIMIT n n",
    "ZCARD k",
    "SET k v",
    "DEL k",
];
