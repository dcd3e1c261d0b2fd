-- settle: end leases of one queue, each by its verdict. After lua/state.lua,
-- lua/parked.lua and lua/gates.lua.
--
-- KEYS[1]     dead letters                   cs:{q}:dead
-- KEYS[2i]    state of item i, of n, or its lane when it has no id
-- KEYS[2i+1]  result of item i, or its lane when there is none
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     key prefix                     cs:{q}:
-- ARGV[4]     milliseconds of a lease
-- ARGV[5]     how many dead letters to keep, about
-- ARGV[6]     milliseconds to keep a dead letter
-- ARGV[7]     how many bytes of a message a dead letter keeps
-- ARGV[8]     milliseconds to keep a state that has to be written anew
-- ARGV[9]     how many kinds there are, m; then 9 for each kind, from ARGV[10]:
--   lane name (<tenant>:<priority>), verdict (done retry crash park release dead drop),
--   delay in ms (retry crash park), code, reason (dead), the results' key (the
--   issuer's key id) and life in ms ('', 0: none), names of the gates where it has a
--   place, with spaces between, 1 when those that wait for the result are woken
-- then 4 for each item:
--   its kind, entry, token ('' when not started), result ('': none)
-- returns     a string of n letters, for each item a applied, b lease lost (or not
--             settled: see release), c vanished; numbers 1 to 3 below
--
-- Kinds: what many items have in common is sent once.
-- Time: delays are told by the worker as durations and counted from Redis's TIME,
-- so that workers with different clocks agree on what is due.
-- Told: all ids of one issuer go in one message, with spaces between; behind some
-- of them their results, as :<bytes>:<result>, so that whoever waits need not read.
-- Errors: at maxmemory Redis refuses the first command that may need more, for the
-- whole script; other errors come from keys that somebody overwrote. For each item
-- the commands that can fail come before the entry is acknowledged, so what was
-- not settled can be settled again. Acknowledgements and messages are collected,
-- and go out even when a later item fails.

local dead = KEYS[1]
local group, consumer, prefix, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local dead_max, dead_keep, message_max, state_ttl = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local items, state_skip = (#KEYS - 1) / 2, #prefix + 4
set_prefix(prefix, group)

local kinds, last_kind = {}, tonumber(ARGV[9])
for n = 1, last_kind do
  local a = 1 + 9 * n
  kinds[tostring(n)] = {
    lane = prefix .. 'in:' .. ARGV[a], lane_name = ARGV[a], verdict = ARGV[a + 1], delay = tonumber(ARGV[a + 2]),
    code = ARGV[a + 3], reason = ARGV[a + 4], issuer = ARGV[a + 5], life = ARGV[a + 6],
    gates = ARGV[a + 7], wake = ARGV[a + 8] == '1',
    plain = ARGV[a + 1] == 'done' and ARGV[a + 7] == '' and ARGV[a + 8] ~= '1',
    id_at = state_skip + #ARGV[a] - 1, -- a lane's name ends in a colon and a digit, where an id begins after a colon
  }
end

-- standing returns 'ours', 'lost', or 'again' when this very verdict was applied
-- before. Of a lease from start it leaves the state in it.st.
local function standing(it, text)
  if it.token ~= '' then
    local st = parse(text)
    if st then
      it.st = st
      if st.token ~= it.token then return 'lost' end
      if st.phase == 'running' then return 'ours' end
      return st.verdict == it.kind.verdict and 'again' or 'lost'
    end
  end
  if owner(it.kind.lane, group, it.entry) ~= consumer then return 'lost' end
  if it.token ~= '' then
    -- The state was lost under a running task: the entry's owner is the next best
    -- fence, and writing the state anew keeps the message from running again.
    it.anew = state_ttl
    it.st = {token = it.token, fails = 0, crashes = 0, worker = consumer, digest = ''}
  end
  return 'ours'
end

-- mark writes the state of what was started.
local function mark(it, phase, entry)
  local st = it.st
  if not st then return end
  st.phase, st.verdict, st.entry, st.lane = phase, it.kind.verdict, entry, it.kind.lane_name
  save(it.state, st, it.anew)
end

local told, told_order = {}, {} -- ids to tell of, by issuer
local carry = 16384 -- bytes of results that still go along: enough for a few, which somebody is likely to wait for
local function tell(issuer, id, result)
  local ids = told[issuer]
  if not ids then
    ids = {}
    told[issuer], told_order[#told_order + 1] = ids, issuer
  end
  if #result <= carry then
    carry = carry - #result
    id = id .. ':' .. #result .. ':' .. result
  end
  ids[#ids + 1] = id
end

-- wake lets those go on for whom this was the last missing result.
local function wake(issuer, id)
  local key = prefix .. 'wait:' .. issuer .. ':' .. id
  for _, member in ipairs(sound({}, 'SMEMBERS', key)) do
    local need = prefix .. 'need:' .. member
    if sound(0, 'SREM', need, id) == 1 and redis.call('SCARD', need) == 0 then unpark(member, {waits = true}) end
  end
  redis.call('DEL', key)
end

local function publish(it)
  if it.result == '' then return end
  local kind, key = it.kind, KEYS[2 * it.n + 1]
  if it.token ~= '' then
    redis.call('SET', key, it.result, 'PX', kind.life)
  elseif not redis.call('SET', key, it.result, 'PX', kind.life, 'NX') then
    return -- not fenced by a token: it may leave a result where there is none only
  end
  local id = string.match(it.member, ':(.*)$')
  tell(kind.issuer, id, it.result)
  if kind.wake then wake(kind.issuer, id) end
end

local buried = false
local function bury(it, code, reason, bytes)
  local add = {'XADD', dead, 'MAXLEN', '~', dead_max, '*', 'code', code, 'reason', reason,
    'lane', it.kind.lane_name, 'member', it.member, 'worker', consumer, 'at', now()}
  if bytes then
    add[#add + 1] = 'e'
    add[#add + 1] = string.sub(bytes, 1, message_max)
  end
  redis.call(unpack(add))
  buried = true
  mark(it, 'dead', it.entry)
end

local function put_by(it, bytes, delay)
  park(it.member, it.kind.lane_name, bytes, now() + delay)
  mark(it, 'waiting', '')
end

local act = {}
function act.done(it)
  publish(it)
  mark(it, 'done', it.entry)
end
function act.retry(it, bytes)
  it.st.fails = it.st.fails + 1
  put_by(it, bytes, it.kind.delay)
end
function act.crash(it, bytes)
  it.st.crashes = it.st.crashes + 1
  put_by(it, bytes, it.kind.delay)
end
function act.park(it, bytes) put_by(it, bytes, it.kind.delay) end

-- release returns false when the lane takes nothing (its last id is the highest
-- there is) and the message cannot be parked either, for want of an id. It then
-- stays with this worker until its lease runs out.
function act.release(it, bytes)
  local fresh = redis.pcall('XADD', it.kind.lane, '*', 'e', bytes)
  if type(fresh) ~= 'table' then
    mark(it, 'waiting', fresh)
    return true
  end
  if string.sub(fresh.err, 1, 3) == 'OOM' then error(fresh) end
  if it.token == '' then return false end
  put_by(it, bytes, put_off)
  return true
end
function act.dead(it, bytes)
  -- The letter first: it can fail (somebody overwrote its key), and a sender must not hear of an end that was not settled.
  bury(it, it.kind.code, it.kind.reason, bytes)
  publish(it)
end
function act.drop() end

local needs = {retry = true, crash = true, park = true, release = true}

local function settle(it, text)
  local stands, verdict = standing(it, text), it.kind.verdict
  if stands == 'again' then return 1 end
  if stands == 'lost' then return 2 end
  local bytes
  if needs[verdict] or verdict == 'dead' then bytes = message(it.kind.lane, it.entry, message_max) end
  if needs[verdict] and not bytes then
    bury(it, 'queue.vanished', 'the entry was deleted from its lane', nil)
    leave(it.kind.lane, it.entry)
    return 3
  end
  if act[verdict](it, bytes) == false then return 2 end
  leave(it.kind.lane, it.entry)
  return 1
end

local wanted = {}
for i = 1, items do wanted[i] = KEYS[2 * i] end
local texts, seen = redis.call('MGET', unpack(wanted)), {}

local function handle(i)
  local a, key = 6 + 9 * last_kind + 4 * i, KEYS[2 * i]
  local kind, entry, token, result, text = kinds[ARGV[a]], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], texts[i]
  if seen[key] then text = redis.pcall('GET', key) end -- the same message stood before it in the batch
  seen[key] = true
  local running = 'running|' .. token .. '||'
  -- The plain case, without parsing the state: what start wrote stands, and the task is done.
  if kind.plain and token ~= '' and type(text) == 'string' and string.sub(text, 1, #running) == running then
    if result ~= '' then
      redis.call('SET', KEYS[2 * i + 1], result, 'PX', kind.life)
      tell(kind.issuer, string.sub(key, kind.id_at), result)
    end
    redis.call('SET', key, 'done|' .. token .. '|done|' .. string.sub(text, #running + 1), 'KEEPTTL')
    leave(kind.lane, entry)
    return 1
  end
  local member = key == kind.lane and '' or string.sub(key, state_skip)
  local code = settle({n = i, state = key, kind = kind, entry = entry, token = token, result = result, member = member}, text)
  if code ~= 2 and kind.gates ~= '' then
    for name in string.gmatch(kind.gates, '%S+') do free(name, member, lease) end
  end
  return code
end

local out = {}
local ok, fault = pcall(function()
  for i = 1, items do out[i] = string.char(96 + handle(i)) end
end)
flush()
for _, issuer in ipairs(told_order) do
  redis.call('PUBLISH', prefix .. 'done:' .. issuer, table.concat(told[issuer], ' '))
end
if buried then redis.pcall('XTRIM', dead, 'MINID', string.format('%.0f', math.max(0, now() - dead_keep))) end
if not ok then return {err = type(fault) == 'table' and fault.err or fault} end
return table.concat(out)
