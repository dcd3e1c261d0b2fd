-- settle: end leases of one queue, each by its verdict.
--
-- KEYS[1]     due set                       cs:{q}:due
-- KEYS[2]     parked messages               cs:{q}:parked
-- KEYS[3]     dead letters                  cs:{q}:dead
-- KEYS[3i+1]  state hash of item i, or the lane again when no id is known
-- KEYS[3i+2]  lane stream of item i
-- KEYS[3i+3]  result of item i, or the lane again when there is none
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     how many dead letters to keep, about
-- ARGV[4]     how many bytes of a message a dead letter keeps
-- ARGV[5]     milliseconds to keep a state that has to be written anew
-- ARGV[6]     channel prefix                cs:{q}:done:
-- then 11 for each item, from ARGV[11i-4]:
--   entry, token ('' when not started), member (<tenant>:<id>, or ''),
--   lane name (<tenant>:<priority>), verdict (done retry crash park release dead drop),
--   delay in ms (retry crash park), code, reason (dead),
--   result, its key (the issuer's key id), its life in ms ('' all three: none)
-- returns     for each item 1 applied, 2 lease lost (or not settled: see release), 3 vanished
--
-- Time: delays are told by the worker as durations and counted from Redis's TIME,
-- so that workers with different clocks agree on what is due.
-- Memory: at maxmemory Redis refuses the first command here that may need more,
-- and it decides that once for the whole script; for each item those commands
-- come before XACK, so an item is settled whole or not at all.

local due, parked, dead = KEYS[1], KEYS[2], KEYS[3]
local group, consumer = ARGV[1], ARGV[2]
local dead_max, message_max, state_ttl, channels = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local put_off = 60000 -- ms until a lane that refuses an entry is tried again

local function owned(it)
  local p = redis.pcall('XPENDING', it.lane, group, it.entry, it.entry, 1)
  return not p.err and #p > 0 and p[1][2] == consumer
end

-- standing returns 'ours', 'lost', or 'again' when this very verdict was applied before.
local function standing(it)
  if it.token == '' then return owned(it) and 'ours' or 'lost' end
  local st = redis.pcall('HMGET', it.state, 'state', 'token', 'verdict')
  if st.err then redis.call('DEL', it.state) end
  if st.err or not st[1] then
    -- The state was lost under a running task: the entry's owner is the next best
    -- fence, and writing the state anew keeps the message from running again.
    if not owned(it) then return 'lost' end
    it.anew = true
    return 'ours'
  end
  if st[2] ~= it.token then return 'lost' end
  if st[1] == 'running' then return 'ours' end
  return st[3] == it.verdict and 'again' or 'lost'
end

-- message returns the bytes that the entry carries, or what stands in their
-- place as evidence when it is malformed; nil when the entry is gone.
local function message(it)
  local found = redis.pcall('XRANGE', it.lane, it.entry, it.entry)
  if found.err or #found == 0 then return nil end
  local fields = found[1][2]
  if #fields == 2 and fields[1] == 'e' then return fields[2] end
  local parts = {}
  for i = 1, math.min(#fields, 64), 2 do
    parts[#parts + 1] = string.sub(fields[i], 1, 1024) .. '=' .. string.sub(fields[i + 1] or '', 1, message_max)
  end
  return table.concat(parts, '\n')
end

local function mark(it, ...)
  if it.token == '' then return end
  redis.call('HSET', it.state, 'verdict', it.verdict, ...)
  if it.anew then
    redis.call('HSET', it.state, 'token', it.token, 'lane', it.lane_name, 'worker', consumer)
    redis.call('PEXPIRE', it.state, state_ttl)
  end
end

local function leave(it)
  redis.call('XACK', it.lane, group, it.entry)
  redis.call('XDEL', it.lane, it.entry)
end

local function bury(it, code, reason, bytes)
  local head = {'XADD', dead, 'MAXLEN', '~', dead_max, '*', 'code', code, 'reason', reason,
    'lane', it.lane_name, 'member', it.member, 'worker', consumer, 'at', now}
  if bytes then
    head[#head + 1] = 'e'
    head[#head + 1] = string.sub(bytes, 1, message_max)
  end
  redis.call(unpack(head))
  mark(it, 'state', 'dead')
end

local function publish(it)
  if it.result == '' then return end
  if it.token == '' then
    -- Not fenced by a token: it may leave a result where there is none only.
    if not redis.call('SET', it.result_key, it.result, 'PX', it.life, 'NX') then return end
  else
    redis.call('SET', it.result_key, it.result, 'PX', it.life)
  end
  local id = string.match(it.member, ':(.*)$')
  redis.call('PUBLISH', channels .. it.issuer, id)
end

local function park(it, bytes, delay)
  redis.call('HSET', parked, it.member, it.lane_name .. '|' .. bytes)
  redis.call('ZADD', due, now + delay, it.member)
  mark(it, 'state', 'waiting', 'entry', '', 'lane', it.lane_name)
end

-- release returns false when the lane takes nothing (its last id is the highest
-- there is) and the message cannot be parked either, for want of an id. It then
-- stays with this worker until its lease runs out.
local function release(it, bytes)
  local fresh = redis.pcall('XADD', it.lane, '*', 'e', bytes)
  if type(fresh) ~= 'table' then
    mark(it, 'state', 'waiting', 'entry', fresh, 'lane', it.lane_name)
    return true
  end
  if string.sub(fresh.err, 1, 3) == 'OOM' then error(fresh) end
  if it.token == '' then return false end
  park(it, bytes, put_off)
  return true
end

local act = {}
function act.done(it)
  publish(it)
  mark(it, 'state', 'done')
end
function act.retry(it, bytes)
  park(it, bytes, it.delay)
  redis.call('HINCRBY', it.state, 'fails', 1)
end
function act.crash(it, bytes)
  park(it, bytes, it.delay)
  redis.call('HINCRBY', it.state, 'crashes', 1)
end
function act.park(it, bytes) park(it, bytes, it.delay) end
function act.release(it, bytes) return release(it, bytes) end
function act.dead(it, bytes)
  publish(it)
  bury(it, it.code, it.reason, bytes)
end
function act.drop() end

local needs = {retry = true, crash = true, park = true, release = true}

local function settle(it)
  local stands = standing(it)
  if stands == 'again' then return 1 end
  if stands == 'lost' then return 2 end
  local bytes
  if needs[it.verdict] or it.verdict == 'dead' then bytes = message(it) end
  if needs[it.verdict] and not bytes then
    bury(it, 'queue.vanished', 'the entry was deleted from its lane', nil)
    leave(it)
    return 3
  end
  if act[it.verdict](it, bytes) == false then return 2 end
  leave(it)
  return 1
end

local out = {}
for i = 1, (#KEYS - 3) / 3 do
  local k, a = 3 * i, 11 * i - 5
  out[i] = settle({
    state = KEYS[k + 1], lane = KEYS[k + 2], result_key = KEYS[k + 3],
    entry = ARGV[a + 1], token = ARGV[a + 2], member = ARGV[a + 3], lane_name = ARGV[a + 4],
    verdict = ARGV[a + 5], delay = tonumber(ARGV[a + 6]) or 0, code = ARGV[a + 7], reason = ARGV[a + 8],
    result = ARGV[a + 9], issuer = ARGV[a + 10], life = ARGV[a + 11],
  })
end
return out
