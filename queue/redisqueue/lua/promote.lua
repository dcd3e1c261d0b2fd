-- promote: move messages whose time has come back into their lanes. After
-- lua/state.lua.
--
-- KEYS[1]  due set          cs:{q}:due
-- KEYS[2]  parked messages  cs:{q}:parked
-- ARGV[1]  prefix of lane streams  cs:{q}:in:
-- ARGV[2]  prefix of states  cs:{q}:st:
-- ARGV[3]  at most how many
-- returns  how many were moved, and milliseconds until the next is due (-1: none waits)
--
-- Lanes and states are named by what is parked, so they are not among KEYS. They
-- carry the same hash tag, hence the same slot. What is parked was written by a
-- worker; somebody else who can write there could as well write to the lanes.
-- Due is by Redis's TIME, the clock that settle counted the delay from.

local due, parked, lanes, states = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local put_off = 60000 -- ms until a lane that refuses an entry is tried again

local function forget(member)
  redis.call('ZREM', due, member)
  redis.call('HDEL', parked, member)
end

local function promote(member)
  local record = redis.call('HGET', parked, member)
  local lane, bytes
  if record then lane, bytes = string.match(record, '^([a-z0-9._-]+:[0-2])@?%d*|(.*)$') end
  if not lane then return forget(member) end
  local entry = redis.pcall('XADD', lanes .. lane, '*', 'e', bytes)
  if type(entry) == 'table' then
    if string.sub(entry.err, 1, 3) == 'OOM' then error(entry) end
    redis.call('ZADD', due, now + put_off, member)
    return
  end
  local st = load(states .. member)
  if st and st.phase == 'waiting' then
    st.entry, st.lane = entry, lane
    save(states .. member, st)
  end
  forget(member)
end

local members = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, ARGV[3])
for i = 1, #members do promote(members[i]) end
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
if #first == 0 then return {#members, -1} end
return {#members, math.max(0, first[2] - now)}
