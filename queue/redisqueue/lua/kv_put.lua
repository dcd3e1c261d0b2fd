-- kv_put: write or delete one value of a tenant, within its quota.
--
-- KEYS[1]  values   cs:kv:{tenant}:values   hash: key -> "<expiry in ms, 0 never>|<value>"
-- KEYS[2]  index    cs:kv:{tenant}:index    zset of keys, all scores 0: ordered by bytes
-- KEYS[3]  expiry   cs:kv:{tenant}:expiry   zset of keys by the ms at which they end
-- KEYS[4]  used     cs:kv:{tenant}:used     bytes charged
-- ARGV[1]  'put' or 'delete'
-- ARGV[2]  key       ARGV[3] value
-- ARGV[4]  milliseconds to keep it, 0 for ever
-- ARGV[5]  quota in bytes
-- ARGV[6]  bytes charged for each key beside key and value
-- ARGV[7]  at most how many expired keys to remove on the way
-- returns  1 written (or deleted), 0 refused: over quota
--
-- All that a tenant has lies in these four keys, so quota and contents cannot
-- part, and no key of a guest's choice ever names a key of Redis.

local values, index, expiry, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local key, value, extra = ARGV[2], ARGV[3], tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- charge returns what key costs as it is stored. HSTRLEN counts the expiry too,
-- whose few bytes are charged with the value.
local function charge(k)
  local n = redis.call('HSTRLEN', values, k)
  if n == 0 then return 0 end
  return #k + n + extra
end

local function remove(k)
  local freed = charge(k)
  redis.call('HDEL', values, k)
  redis.call('ZREM', index, k)
  redis.call('ZREM', expiry, k)
  if freed > 0 then redis.call('DECRBY', used, freed) end
end

local function purge(most)
  local old = redis.call('ZRANGEBYSCORE', expiry, '-inf', now, 'LIMIT', 0, most)
  for i = 1, #old do remove(old[i]) end
  return #old
end

if ARGV[1] == 'delete' then
  purge(16)
  remove(key)
  return 1
end

local ends = 0
if tonumber(ARGV[4]) > 0 then ends = now + tonumber(ARGV[4]) end
local record = string.format('%d', ends) .. '|' .. value
local cost = #key + #record + extra
local left = tonumber(ARGV[7])
local function over()
  return (tonumber(redis.call('GET', used) or 0) or 0) - charge(key) + cost > tonumber(ARGV[5])
end
purge(16)
while left > 0 and over() do
  local n = purge(64)
  if n == 0 then break end
  left = left - n
end
if over() then return 0 end
redis.call('INCRBY', used, cost - charge(key))
redis.call('HSET', values, key, record)
redis.call('ZADD', index, 0, key)
if ends > 0 then redis.call('ZADD', expiry, ends, key) else redis.call('ZREM', expiry, key) end
return 1
