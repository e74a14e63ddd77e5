-- Runs once, with all of Lua at hand. What it hands out is all that scripts see of it.
local native = ...
local error, type, tostring, tonumber, pcall, select = error, type, tostring, tonumber, pcall, select
local setmetatable, loadstring, setfenv, byte = setmetatable, loadstring, setfenv, string.byte
local seed, random, port, plain = math.randomseed, math.random, native.port, native.plain
local insert, remove, sort, rep = table.insert, table.remove, table.sort, string.rep
local unpack, rawset, concat, count = unpack, rawset, table.concat, collectgarbage

-- Tables that all scripts share. They can be read and not changed.
local shared = {}

local function refuse()
  error("Attempt to modify a readonly table", 2)
end

local function shut(content)
  local closed = setmetatable({}, { __index = content, __newindex = refuse, __metatable = false })
  shared[closed] = true
  return closed
end

string.dump = nil
getmetatable("").__metatable = false

-- Every run draws the same numbers, from the first that it draws.
local seeded = false

function math.random(...)
  if not seeded then
    seed(0)
    seeded = true
  end
  return random(...)
end

function math.randomseed(number)
  seed(number)
  seeded = true
end

-- These write into a table whatever its metatable says.
function table.insert(list, ...)
  if shared[list] then error("Attempt to modify a readonly table", 2) end
  -- The interpreter moves all that is behind the place, also where there is nothing.
  local place = select("#", ...) > 1 and tonumber((...))
  if place and not (place >= 0 and place <= 2^31 - 2) then
    error("bad argument #2 to 'insert' (position out of bounds)", 2)
  end
  return insert(list, ...)
end

function table.remove(list, ...)
  if shared[list] then error("Attempt to modify a readonly table", 2) end
  return remove(list, ...)
end

function table.sort(list, ...)
  if shared[list] then error("Attempt to modify a readonly table", 2) end
  return sort(list, ...)
end

-- In the interpreter nothing written often takes long, and counts overflow.
function string.rep(text, times)
  local length = #tostring(text)
  times = tonumber(times) or error("bad argument #2 to 'rep' (number expected)", 2)
  if length == 0 or not (times >= 1) then return "" end
  if length * times > 2^31 - 1 then error("resulting string too large", 2) end
  return rep(text, times)
end

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_SLAVE = 1, REPL_REPLICA = 1, REPL_AOF = 2, REPL_ALL = 3,
  REDIS_VERSION = native.version, REDIS_VERSION_NUM = native.version_num,
}

function redis.call(...)
  local failed, value = port.call(...)
  if failed then error(value, 0) end
  return value
end

function redis.pcall(...)
  local _, value = port.call(...)
  return value
end

function redis.error_reply(text)
  if type(text) ~= "string" then return { err = "ERR wrong number or type of arguments" } end
  if byte(text) == 45 then text = text:sub(2) end
  if not text:find(" ", 1, true) then text = "ERR " .. text end
  return { err = text }
end

function redis.status_reply(text)
  if type(text) ~= "string" then return { err = "ERR wrong number or type of arguments" } end
  return { ok = text }
end

function redis.sha1hex(...)
  if select("#", ...) ~= 1 then error("wrong number of arguments", 2) end
  local text = ...
  return native.sha1hex(text == nil and "" or tostring(text))
end

function redis.setresp(version)
  version = tonumber(version)
  if version ~= 2 and version ~= 3 then error("RESP version must be 2 or 3.", 2) end
  port.setresp(version)
end

function redis.log(level, ...)
  if type(level) ~= "number" or select("#", ...) == 0 then
    error("redis.log() requires two arguments or more.", 2)
  end
  if level < 0 or level > 3 then error("Invalid log level.", 2) end
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  port.log(level, concat(words, " "))
end

-- Effects are what is replicated, always.
function redis.replicate_commands() return true end
function redis.set_repl() end
function redis.acl_check_cmd() return true end
function redis.breakpoint() return false end
redis["debug"] = function() end

local visible = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next,
  pairs = pairs, rawequal = rawequal, rawget = rawget, select = select,
  setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type,
  _VERSION = _VERSION,
  string = shut(string), table = shut(table), math = shut(math),
  os = shut({ clock = os.clock }),
  redis = shut(redis), server = shut(redis), bit = shut(native.bit),
  cjson = shut(native.cjson), cmsgpack = shut(native.cmsgpack),
}

local globals = setmetatable({}, {
  __index = visible,
  __newindex = refuse,
  __metatable = false,
})
visible._G = globals
shared[globals] = true
setmetatable(visible, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})

-- What was caught: a command's error is its text, as is one of the libraries.
local function caught(done, ...)
  if done then return done, ... end
  local why = ...
  if type(why) == "table" and type(why.err) == "string" then return done, why.err end
  if type(why) == "userdata" then return done, plain(why) end
  return done, why
end

function visible.pcall(...)
  return caught(pcall(...))
end

-- The handler runs after the error, not in its place: there, nothing would stop it.
local function handled(handler, done, ...)
  if done then return done, ... end
  return done, handler(...)
end

function visible.xpcall(work, handler)
  return handled(handler, caught(pcall(work)))
end

function visible.unpack(list, first, last)
  first = first == nil and 1 or tonumber(first) or error("bad argument #2 to 'unpack' (number expected)", 2)
  last = last == nil and #list or tonumber(last) or error("bad argument #3 to 'unpack' (number expected)", 2)
  -- The interpreter counts in 32 bits.
  if not (first >= -2^31 and last <= 2^31 - 1 and last - first < 8000) then
    if first > last then return end
    error("too many results to unpack", 2)
  end
  return unpack(list, first, last)
end

function visible.rawset(list, key, value)
  if shared[list] then error("Attempt to modify a readonly table", 2) end
  return rawset(list, key, value)
end

function visible.collectgarbage(what)
  if what == "count" then return count("count") end
  return 0
end

-- Text only: what is compiled elsewhere could break the interpreter.
function visible.loadstring(text, name)
  if type(text) ~= "string" or byte(text) == 27 then
    return nil, "only text can be loaded"
  end
  local loaded, why = loadstring(text, name)
  if loaded then setfenv(loaded, globals) end
  return loaded, why
end
visible.load = visible.loadstring

return globals, function(script)
  seeded = false
  return pcall(script)
end
