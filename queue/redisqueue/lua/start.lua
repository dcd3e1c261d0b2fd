-- start: begin work on a batch of deliveries of one queue. After lua/state.lua,
-- lua/parked.lua, lua/gates.lua and lua/admit.lua.
--
-- KEYS[l]     lane stream l, of L            cs:{q}:in:<tenant>:<priority>
-- KEYS[L+i]   state of item i, of n          cs:{q}:st:<tenant>:<id>
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     key prefix                     cs:{q}:
-- ARGV[4], ARGV[5]  L and n
-- ARGV[6]     milliseconds of a lease
-- ARGV[7]     how many bytes of a malformed message are kept when it is parked
-- then 4 for each item, from ARGV[8]:
--   number of its lane, entry, the state that it gets when it has none (see
--   lua/state.lua), milliseconds to keep it from now
-- then 4 for each item that asks for more:
--   its number, its plan or '', its gates or '', the rest or '': see lua/admit.lua
-- returns     a string of n letters, each the state of an item (a granted, b replayed,
--             c duplicate, d conflict, e lost, f waits, g throttled, h taken; numbers 1
--             to 8 below); then for each item of which there is more to say
--             {number, attempt, crashes, first, cancels, inputs}, see lua/admit.lua
--
-- Nothing here asks a worker's time: PX counts from Redis's own now, so a worker's
-- clock is used only to say how long, never when.
-- States, cancels and gates of the whole batch are read at once, and what many items
-- have in common is sent once: what runs for each item decides how fast a queue is.
-- What is parked, orders, results, gates and other lanes are named by prefix only;
-- they carry the same hash tag, hence the same slot.

local group, consumer, prefix = ARGV[1], ARGV[2], ARGV[3]
local lanes, items = tonumber(ARGV[4]), tonumber(ARGV[5])
local state_skip, cancel_prefix = #prefix + 4, prefix .. 'cancel:'
set_prefix(prefix, group)

-- mine returns, by lane, the entries of this batch that are this worker's. It asks
-- once for each lane, from its first to its last entry; whatever that misses (the
-- batch was not in order, or much else is held in between) is asked for alone.
local function mine()
  local span, out = {}, {}
  for a = 8, 4 * items + 4, 4 do
    local lane, entry = ARGV[a], ARGV[a + 1]
    local s = span[lane]
    if s then
      s.last, s.n = entry, s.n + 1
    else
      span[lane] = {first = entry, last = entry, n = 1}
    end
  end
  for lane, s in pairs(span) do
    local entries = {}
    if s.n > 2 then
      local p = redis.pcall('XPENDING', KEYS[tonumber(lane)], group, s.first, s.last, s.n + 64, consumer)
      if not p.err then
        for j = 1, #p do entries[p[j][1]] = true end
      end
    end
    out[lane] = entries
  end
  return out
end

-- alive says whether the entry that the state points to can still lead to a run.
local function alive(st, member)
  if st.phase == 'running' then return owner(prefix .. 'in:' .. st.lane, group, st.entry) end
  if st.entry == '' then return redis.call('HEXISTS', parked, member) == 1 end
  local found = redis.pcall('XRANGE', prefix .. 'in:' .. st.lane, st.entry, st.entry)
  return not found.err and #found > 0
end

-- start decides about an item that has a state or asks for more. it.st becomes the
-- state that it had, it.new the one that it gets.
local function start(it, text)
  local st, new = parse(text), parse(it.fresh)
  it.st, it.new = st, new
  if st then
    -- Without a digest the state stands for whatever bytes came under this id.
    if st.digest ~= '' and st.digest ~= new.digest then return 4 end
    if st.phase == 'done' or st.phase == 'dead' then return 2 end
    local again = st.phase == 'running' and st.token == new.token
    if not again and (st.entry ~= it.entry or st.lane ~= new.lane) and alive(st, it.member) then return 3 end
    new.fails, new.crashes = st.fails, st.crashes
    if again and st.verdict == '' then -- the reply was lost
      if it.ask then it.inputs = inputs(it) end
      if it.inputs == -3 then it.inputs = -1 end
      return 1
    end
    if not again and st.phase == 'running' and st.verdict ~= 'taken' then new.crashes = st.crashes + 1 end
  end
  if new.crashes == suspect_crashes and not it.ask then it.ask = {gates = '', rest = ''} end
  local code = it.ask and admit(it) or 1
  if code == 8 then new.verdict = 'taken' end
  if code == 1 or code == 8 then save(it.key, new, it.ttl) end
  if code == 1 and st and st.verdict == 'waits' then redis.call('DEL', prefix .. 'need:' .. it.member) end
  return code
end

local asks, wanted = {}, {}
for i = 1, items do
  local key = KEYS[lanes + i]
  wanted[i], wanted[items + i] = key, cancel_prefix .. string.sub(key, state_skip)
end
for a = 8 + 4 * items, #ARGV, 4 do
  local i = tonumber(ARGV[a])
  local ask = {gates = ARGV[a + 2], rest = ARGV[a + 3]}
  if ARGV[a + 1] ~= '' then
    ask.plan = #wanted + 1
    wanted[ask.plan] = cancel_prefix .. string.match(wanted[i], ':st:([^:]*:)') .. ARGV[a + 1]
  end
  asks[i] = ask
end
local texts = redis.call('MGET', unpack(wanted))

-- cancels returns the orders kept for item i and its plan, nil when there are none.
local function cancels(i)
  local own, plan = texts[items + i], asks[i] and asks[i].plan and texts[asks[i].plan]
  if not own and not plan then return nil end
  local out = {}
  if own then out[1] = own end
  if plan then out[#out + 1] = plan end
  return out
end

local held = mine()
local codes, out, seen = {}, {''}, {}

local function handle(i)
  local a, key = 4 + 4 * i, KEYS[lanes + i]
  local lane_no, entry, fresh, ttl = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local lane = KEYS[tonumber(lane_no)]
  if not held[lane_no][entry] and owner(lane, group, entry) ~= consumer then return 5 end
  local text = texts[i]
  if seen[key] then text = redis.pcall('GET', key) end -- another copy stood before it in the batch
  seen[key] = true
  local orders = cancels(i)
  if type(text) ~= 'string' and not asks[i] then
    redis.call('SET', key, fresh, 'PX', ttl)
    if orders then out[#out + 1] = {i, 1, 0, '', orders, {}} end
    return 1
  end
  local it = {key = key, member = string.sub(key, state_skip), lane = lane, entry = entry, fresh = fresh, ttl = ttl, ask = asks[i]}
  local code = start(it, text)
  if code == 1 or code == 8 then
    out[#out + 1] = {i, it.new.fails + 1, it.new.crashes, it.first or '', code == 1 and orders or {}, it.inputs or {}}
  end
  return code
end

local ok, fault = pcall(function()
  for i = 1, items do codes[i] = string.char(96 + handle(i)) end
  settle_gates()
end)
flush()
if not ok then return {err = type(fault) == 'table' and fault.err or fault} end
out[1] = table.concat(codes)
return out
