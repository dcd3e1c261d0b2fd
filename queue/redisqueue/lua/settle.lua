-- settle: ends the leases of lua/finish.lua, which has KEYS, ARGV and what is returned,
-- that are not plain, each by its verdict. After lua/state.lua, lua/parked.lua and
-- lua/gates.lua.

local dead = KEYS[1]
local consumer, lease = ARGV[2], tonumber(ARGV[4])
local dead_max, dead_keep, message_max, state_ttl = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
set_prefix(ARGV[3], ARGV[1])

-- copied says whether the entry of a copy (as start has answered) can be deleted: its message has ended, or another entry can
-- lead to its run. start may have been answered by an old master, of whose writes this one knows nothing; then the entry is
-- all that is left of the message.
local function copied(it)
  local st = load(it.member)
  if not st then return false end
  if st.phase == 'done' or st.phase == 'dead' then return true end
  return (st.entry ~= it.entry or st.lane ~= it.kind.lane_name) and alive(st, it.member)
end

local needs = {retry = true, crash = true, park = true, release = true} -- verdicts after which it comes again

-- standing returns 'ours', 'lost', or 'again' when this very verdict was applied
-- before. Of a lease from start it leaves the state in it.st.
local function standing(it)
  if it.token ~= '' then
    local st = load(it.member)
    if st then
      it.st = st
      if st.token ~= it.token then return 'lost' end
      if st.phase == 'running' then return 'ours' end
      return (st.verdict == it.kind.verdict or st.verdict == 'unasked' and needs[it.kind.verdict]) and 'again' or 'lost'
    end
  end
  if owner(it.kind.lane, group, it.entry) ~= consumer then return 'lost' end
  if it.token == '' then
    if it.id ~= '' and not copied(it) then return 'lost' end
  else
    -- The state was lost under a running task: the entry's owner is the next best
    -- fence, and writing the state anew keeps the message from running again.
    it.anew = state_ttl
    it.st = {token = it.token, fails = 0, crashes = 0, worker = consumer, digest = ''}
  end
  return 'ours'
end

-- mark writes the state of what was started. What was not asked for stays so, however it comes again.
local function mark(it, phase, entry)
  local st = it.st
  if not st then return end
  if phase ~= 'waiting' or st.verdict ~= 'unasked' then st.verdict = it.kind.verdict end
  st.phase, st.entry, st.lane = phase, entry, it.kind.lane_name
  save(it.member, st, it.anew)
end

-- wake promotes the messages for which this was the last missing result.
local function wake(issuer, id)
  local key = prefix .. 'wait:' .. issuer .. ':' .. id
  for _, member in ipairs(must('SMEMBERS', key)) do
    local need = prefix .. 'need:' .. member
    if must('SREM', need, issuer .. ':' .. id) == 1 and redis.call('SCARD', need) == 0 then unpark(member, {waits = true}) end
  end
  redis.call('DEL', key)
end

local function publish(it)
  if it.result == '' then return end
  local kind = it.kind
  redis.call('SET', prefix .. 'res:' .. kind.issuer .. ':' .. it.id, it.result, 'PX', kind.life)
  tell(kind.issuer, it.id, it.result)
  if kind.wake then wake(kind.issuer, it.id) end
end

-- passed_on says whether nobody has the entry any more: another worker, to which it came when this one's lease was over, gave it
-- back before it started it. The message stands in its lane as another entry then. What is only deleted is still pending.
local function passed_on(it)
  local pending = redis.pcall('XPENDING', it.kind.lane, group, it.entry, it.entry, 1)
  return not foreign(pending) and #pending == 0
end

local buried = false
local function bury(it, code, reason, bytes)
  local add = {'XADD', dead, 'MAXLEN', '~', dead_max, '*', 'code', code, 'reason', reason,
    'lane', it.kind.lane_name, 'member', it.token ~= '' and it.member or '', 'worker', consumer, 'at', now()}
  if bytes then
    add[#add + 1] = 'e'
    add[#add + 1] = string.sub(bytes, 1, message_max)
  end
  local put = redis.pcall(unpack(add))
  if type(put) == 'table' then error({err = put.err .. ': ' .. dead}) end
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

-- release returns false when the lane takes no entry (its last id is the highest
-- possible) and the message cannot be parked either, since it has no id. It then
-- stays with this worker until its lease runs out.
function act.release(it, bytes)
  local fresh = redis.pcall('XADD', it.kind.lane, '*', 'e', bytes)
  if not foreign(fresh) then
    mark(it, 'waiting', fresh)
    return true
  end
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

local function settle(it)
  local stands, verdict = standing(it), it.kind.verdict
  if stands == 'again' then return 1 end
  if stands == 'lost' then return 2 end
  local bytes
  if needs[verdict] or verdict == 'dead' then bytes = message(it.kind.lane, it.entry, message_max) end
  if needs[verdict] and not bytes then
    if passed_on(it) then return 2 end
    bury(it, 'queue.vanished', 'the entry was deleted from its lane', nil)
    leave(it.kind.lane, it.entry)
    return 3
  end
  if act[verdict](it, bytes) == false then return 2 end
  leave(it.kind.lane, it.entry)
  return 1
end

local function handle(it)
  local kind = it.kind
  it.member = it.id == '' and '' or string.match(kind.lane_name, '^[^:]*:') .. it.id
  local code = settle(it)
  if code ~= 2 and kind.gates ~= '' then
    for name in string.gmatch(kind.gates, '%S+') do free(name, it.member, lease) end
  end
  return code
end

local ok, fault = pcall(function()
  for _, it in ipairs(rest) do codes[it.n] = string.char(96 + handle(it)) end
end)
flush()
tell_all()
if buried then redis.pcall('XTRIM', dead, 'MINID', string.format('%.0f', math.max(0, now() - dead_keep))) end
if not ok then return {err = type(fault) == 'table' and fault.err or fault} end
return table.concat(codes)
