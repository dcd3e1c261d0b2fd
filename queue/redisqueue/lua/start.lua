-- start: begin work on a batch of deliveries of one queue. After lua/state.lua.
--
-- KEYS[2i-1]  state of item i               cs:{q}:st:<tenant>:<id>
-- KEYS[2i]    lane stream of item i         cs:{q}:in:<tenant>:<priority>
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     parked hash                   cs:{q}:parked   (read only when an id is met again)
-- ARGV[4]     prefix of lane streams        cs:{q}:in:
-- ARGV[5i]    entry        ARGV[5i+1] token      ARGV[5i+2] digest
-- ARGV[5i+3]  lane name (<tenant>:<priority>)
-- ARGV[5i+4]  milliseconds to keep the state from now
-- returns     3 values for each item: state (1 granted, 2 replayed, 3 duplicate,
--             4 conflict, 5 lost), attempt, crashes
--
-- Nothing here asks the time: PX counts from Redis's own now, so a worker's clock
-- is used only to say how long, never when.
-- ARGV[3] and ARGV[4]: another copy of a message can be parked, or lie in a lane
-- that is known only from the state. Both carry the same hash tag, hence the same slot.

local group, consumer, parked, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local items = #KEYS / 2

-- held returns, by lane, the entries of this batch that are this worker's. It asks
-- once for each lane, from its first to its last entry; whatever that misses (the
-- batch was not in order, or much else is held in between) is asked for alone.
local function held()
  local span, out = {}, {}
  for i = 1, items do
    local lane, entry = KEYS[2 * i], ARGV[5 * i]
    local s = span[lane]
    if s then
      s.last, s.n = entry, s.n + 1
    else
      span[lane] = {first = entry, last = entry, n = 1}
    end
  end
  for lane, s in pairs(span) do
    local mine = {}
    if s.n > 2 then
      local p = redis.pcall('XPENDING', lane, group, s.first, s.last, s.n + 64, consumer)
      if not p.err then
        for j = 1, #p do mine[p[j][1]] = true end
      end
    end
    out[lane] = mine
  end
  return out
end

-- alive says whether the entry that the state points to can still lead to a run.
local function alive(st, member)
  if st.phase == 'running' then return owner(prefix .. st.lane, group, st.entry) end
  if st.entry == '' then return redis.call('HEXISTS', parked, member) == 1 end
  local found = redis.pcall('XRANGE', prefix .. st.lane, st.entry, st.entry)
  return not found.err and #found > 0
end

local function start(key, entry, token, digest, lane, ttl)
  local st = load(key)
  if not st then
    st = {fails = 0, crashes = 0}
  else
    -- Without a digest the state stands for whatever bytes came under this id.
    if st.digest ~= '' and st.digest ~= digest then return 4, 0, 0 end
    if st.phase == 'done' or st.phase == 'dead' then return 2, 0, 0 end
    if st.phase == 'running' and st.token == token then return 1, st.fails + 1, st.crashes end
    if st.entry ~= entry or st.lane ~= lane then
      local member = string.match(key, ':st:(.*)$')
      if alive(st, member) then return 3, 0, 0 end
    end
    if st.phase == 'running' then st.crashes = st.crashes + 1 end
  end
  st.phase, st.token, st.verdict, st.entry, st.lane = 'running', token, '', entry, lane
  st.worker, st.digest = consumer, digest
  save(key, st, ttl)
  return 1, st.fails + 1, st.crashes
end

local mine = held()
local out = {}
for i = 1, items do
  local lane, a = KEYS[2 * i], 5 * i
  local entry = ARGV[a]
  local state, attempt, crashes = 5, 0, 0
  if mine[lane][entry] or owner(lane, group, entry) == consumer then
    state, attempt, crashes = start(KEYS[2 * i - 1], entry, ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])
  end
  out[3 * i - 2], out[3 * i - 1], out[3 * i] = state, attempt, crashes
end
return out
