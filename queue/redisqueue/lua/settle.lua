-- settle: end leases of one queue, each by its verdict. After lua/state.lua.
--
-- KEYS[1]     due set                       cs:{q}:due
-- KEYS[2]     parked messages               cs:{q}:parked
-- KEYS[3]     dead letters                  cs:{q}:dead
-- KEYS[3i+1]  state of item i, or the lane again when it was not started
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
--   result, its key (the issuer's key id), its life in ms ('', '', 0: none)
-- returns     for each item 1 applied, 2 lease lost (or not settled: see release), 3 vanished
--
-- Time: delays are told by the worker as durations and counted from Redis's TIME,
-- so that workers with different clocks agree on what is due.
-- Told: all ids of one issuer go in one message, with spaces between.
-- Errors: at maxmemory Redis refuses the first command that may need more, for the
-- whole script; other errors come from keys that somebody overwrote. For each item
-- the commands that can fail come before the entry is acknowledged, so what was
-- not settled can be settled again. Acknowledgements and messages are collected,
-- and go out even when a later item fails.

local due, parked, dead = KEYS[1], KEYS[2], KEYS[3]
local group, consumer = ARGV[1], ARGV[2]
local dead_max, message_max, state_ttl, channels = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local put_off = 60000 -- ms until a lane that refuses an entry is tried again

local clock
local function now()
  if not clock then
    local time = redis.call('TIME')
    clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return clock
end

-- standing returns 'ours', 'lost', or 'again' when this very verdict was applied
-- before. Of a lease from start it leaves the state in it.st.
local function standing(it)
  if it.token ~= '' then
    local st = load(it.state)
    if st then
      it.st = st
      if st.token ~= it.token then return 'lost' end
      if st.phase == 'running' then return 'ours' end
      return st.verdict == it.verdict and 'again' or 'lost'
    end
  end
  if owner(it.lane, group, it.entry) ~= consumer then return 'lost' end
  if it.token ~= '' then
    -- The state was lost under a running task: the entry's owner is the next best
    -- fence, and writing the state anew keeps the message from running again.
    it.anew = state_ttl
    it.st = {token = it.token, fails = 0, crashes = 0, worker = consumer, digest = ''}
  end
  return 'ours'
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

-- mark writes the state of what was started.
local function mark(it, phase, entry)
  local st = it.st
  if not st then return end
  st.phase, st.verdict, st.entry, st.lane = phase, it.verdict, entry, it.lane_name
  save(it.state, st, it.anew)
end

local left, left_order = {}, {} -- entries to acknowledge, by lane
local function leave(it)
  local entries = left[it.lane]
  if not entries then
    entries = {}
    left[it.lane], left_order[#left_order + 1] = entries, it.lane
  end
  entries[#entries + 1] = it.entry
end

local told, told_order = {}, {} -- ids to tell of, by issuer
local function publish(it)
  if it.result == '' then return end
  if it.token == '' then
    -- Not fenced by a token: it may leave a result where there is none only.
    if not redis.call('SET', it.result_key, it.result, 'PX', it.life, 'NX') then return end
  else
    redis.call('SET', it.result_key, it.result, 'PX', it.life)
  end
  local ids = told[it.issuer]
  if not ids then
    ids = {}
    told[it.issuer], told_order[#told_order + 1] = ids, it.issuer
  end
  ids[#ids + 1] = string.match(it.member, ':(.*)$')
end

local function flush()
  for _, lane in ipairs(left_order) do
    local entries = left[lane]
    for i = 1, #entries, 256 do
      local last = math.min(i + 255, #entries)
      redis.call('XACK', lane, group, unpack(entries, i, last))
      redis.call('XDEL', lane, unpack(entries, i, last))
    end
  end
  for _, issuer in ipairs(told_order) do
    redis.call('PUBLISH', channels .. issuer, table.concat(told[issuer], ' '))
  end
end

local function bury(it, code, reason, bytes)
  local add = {'XADD', dead, 'MAXLEN', '~', dead_max, '*', 'code', code, 'reason', reason,
    'lane', it.lane_name, 'member', it.member, 'worker', consumer, 'at', now()}
  if bytes then
    add[#add + 1] = 'e'
    add[#add + 1] = string.sub(bytes, 1, message_max)
  end
  redis.call(unpack(add))
  mark(it, 'dead', it.entry)
end

local function park(it, bytes, delay)
  redis.call('HSET', parked, it.member, it.lane_name .. '@' .. string.format('%d', now()) .. '|' .. bytes)
  redis.call('ZADD', due, now() + delay, it.member)
  mark(it, 'waiting', '')
end

-- release returns false when the lane takes nothing (its last id is the highest
-- there is) and the message cannot be parked either, for want of an id. It then
-- stays with this worker until its lease runs out.
local function release(it, bytes)
  local fresh = redis.pcall('XADD', it.lane, '*', 'e', bytes)
  if type(fresh) ~= 'table' then
    mark(it, 'waiting', fresh)
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
  mark(it, 'done', it.entry)
end
function act.retry(it, bytes)
  it.st.fails = it.st.fails + 1
  park(it, bytes, it.delay)
end
function act.crash(it, bytes)
  it.st.crashes = it.st.crashes + 1
  park(it, bytes, it.delay)
end
function act.park(it, bytes) park(it, bytes, it.delay) end
act.release = release
function act.dead(it, bytes)
  -- The letter first: it can fail (somebody overwrote its key), and a sender must not hear of an end that was not settled.
  bury(it, it.code, it.reason, bytes)
  publish(it)
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
local ok, fault = pcall(function()
  for i = 1, (#KEYS - 3) / 3 do
    local k, a = 3 * i, 11 * i - 5
    out[i] = settle({
      state = KEYS[k + 1], lane = KEYS[k + 2], result_key = KEYS[k + 3],
      entry = ARGV[a + 1], token = ARGV[a + 2], member = ARGV[a + 3], lane_name = ARGV[a + 4],
      verdict = ARGV[a + 5], delay = tonumber(ARGV[a + 6]), code = ARGV[a + 7], reason = ARGV[a + 8],
      result = ARGV[a + 9], issuer = ARGV[a + 10], life = ARGV[a + 11],
    })
  end
end)
flush()
if not ok then return {err = type(fault) == 'table' and fault.err or fault} end
return out
