-- states: where the states of messages are kept, and Redis's clock; put first in the
-- scripts that need either. set_states comes before anything else of it is used.
--
--   cs:{q}:st:<tenant>    hash: id -> state, see lua/state.lua. One hash, so that a batch
--                         is read with one command and written with one.
--   cs:{q}:ends           sorted set: minutes (of Redis's clock) after which states end
--   cs:{q}:ends:<minute>  list of <tenant> <id> <id> ...: whose states end then
--
-- Fields of a hash have no life of their own (before Redis 7.4), so a state's end is
-- listed when the state is made, and lua/sweep.lua removes it then. A hash and its
-- lists have lives, too, which end some time after those of all that is in them, in
-- case no worker is there to sweep.

local ends_after = 86400000  -- ms that a list outlives its states
local hash_after = 7200000   -- ms that a hash outlives its newest state, at most

-- now_us is Redis's time in microseconds, the same throughout a script; now is it in milliseconds.
-- Microseconds have 16 digits: only string.format writes them whole.
local clock
local function now_us()
  if not clock then
    local time = redis.call('TIME')
    clock = time[1] * 1000000 + time[2]
  end
  return clock
end
local function now() return math.floor(now_us() / 1000) end

-- must runs a command on a key of ours. When somebody else has put a value of another type
-- there, it deletes the key and runs the command again.
local function must(command, key, ...)
  local got = redis.pcall(command, key, ...)
  if not foreign(got) then return got end
  if string.sub(got.err, 1, 9) == 'WRONGTYPE' then redis.call('DEL', key) end
  return redis.call(command, key, ...)
end

local base -- cs:{q}:
local function set_states(prefix) base = prefix end

local function states_of(tenant) return base .. 'st:' .. tenant end

-- list_ends lists the new states of ids (a table) to be removed ttl milliseconds from now, or
-- up to a minute later.
local function list_ends(tenant, ids, ttl)
  ttl = tonumber(ttl)
  local minute = string.format('%.0f', math.floor((now() + ttl) / 60000) + 1)
  local list, hash = base .. 'ends:' .. minute, states_of(tenant)
  if must('RPUSH', list, tenant .. ' ' .. table.concat(ids, ' ')) == 1 then
    must('ZADD', base .. 'ends', minute, minute)
    redis.call('PEXPIRE', list, string.format('%.0f', ttl + ends_after))
  end
  if redis.call('PTTL', hash) < ttl + hash_after / 2 then
    redis.call('PEXPIRE', hash, string.format('%.0f', ttl + hash_after))
  end
end

-- ended_minute returns the first minute that has passed and has states listed, nil when there is none.
local function ended_minute()
  return must('ZRANGEBYSCORE', base .. 'ends', '-inf', string.format('%.0f', math.floor(now() / 60000)), 'LIMIT', 0, 1)[1]
end
