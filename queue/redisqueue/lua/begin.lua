-- begin: work begins on a batch of deliveries of one queue: the plain part of start,
-- for messages that nobody has met before and that ask for nothing, a few commands
-- for all of them. After lua/states.lua. Where it decides about every item it
-- returns, and lua/start.lua, with all that it needs, is never looked at.
--
-- Items of one lane, whose states live alike, are a group.
-- KEYS[2g-1]  lane stream of group g, of G    cs:{q}:in:<tenant>:<priority>
-- KEYS[2g]    states of its tenant            cs:{q}:st:<tenant>
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     key prefix                      cs:{q}:
-- ARGV[4]     milliseconds of a lease
-- ARGV[5]     how many bytes of a malformed message are kept when it is parked
-- ARGV[6]     until when, by Redis's clock in ms, all these deliveries are surely this
--             worker's: nobody can recover what was claimed less than a lease ago
-- ARGV[7]     G
-- then 3 for each group, from ARGV[8], those that are plain first: how many items;
--   milliseconds to keep their states; 1 when they are plain, i.e. ask for nothing
-- then 2 for each item: id, and the state that it gets when it has none
-- then 4 for each item that asks for more:
--   its number, its plan or '', its gates or '', the rest or '': see lua/admit.lua
-- returns     a list: a string of n letters, each the state of an item (a granted,
--             b replayed, c duplicate, d conflict, e lost, f waits, g throttled, h taken;
--             numbers 1 to 8 in start.lua); then for each item of which there is more to say
--             {number, attempt, crashes, first, cancels, inputs}, see lua/admit.lua
--
-- Nothing here asks a worker's time: lives count from Redis's own now, so a worker's
-- clock is used only to say how long, never when.
-- What is parked, orders, results, gates and other lanes are named by prefix only;
-- they carry the same hash tag, hence the same slot.

local group, consumer, prefix = ARGV[1], ARGV[2], ARGV[3]
local lease, message_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local sure, groups = tonumber(ARGV[6]) - 0.75 * lease > now(), tonumber(ARGV[7])
local codes, rest = {}, {} -- letters by item; items that start.lua decides about
set_states(prefix)

-- keep notes an entry of whose lease more than a quarter has passed, so that its lease begins anew: its worker was stopped
-- since it claimed, or could not reach Redis, and counts the lease from when it asked to start. keep_late renews them, at the
-- very end: XCLAIM is allowed at maxmemory, and once a script has written, so is everything else.
local late = {}
local function keep(lane, entry, idle)
  if idle > 0.25 * lease then late[#late + 1] = {lane, entry} end
end
local function keep_late()
  for _, it in ipairs(late) do redis.call('XCLAIM', it[1], group, consumer, 0, it[2], 'JUSTID') end
end

-- mine returns which entries of a group are this worker's. It asks for the range from the
-- first to the last; what that misses (entries out of order, or many others held in
-- between) start.lua asks for one by one.
local function mine(lane, at, n)
  local function entry(i) return string.match(ARGV[at + 2 * i - 1], '^[^|]*|[^|]*|([^|]*)') end
  local out, p = {}, redis.pcall('XPENDING', lane, group, entry(1), entry(n), n + 64, consumer)
  if not foreign(p) then
    for j = 1, #p do out[p[j][1]] = p[j][3] end
  end
  local held = {}
  for i = 1, n do
    local idle = out[entry(i)]
    if idle then keep(lane, entry(i), idle) end
    held[i] = idle ~= nil
  end
  return held
end

-- orders_for returns the orders kept for ids, nil when the tenant has none at all.
local function orders_for(tenant, ids)
  local cancel = prefix .. 'cancel:' .. tenant .. ':'
  if redis.call('EXISTS', cancel) == 0 then return nil end
  local keys = {}
  for i = 1, #ids do keys[i] = cancel .. ids[i] end
  return redis.call('MGET', unpack(keys))
end

local item, at = 0, 8 + 3 * groups -- items before this group, and where in ARGV it begins
for g = 1, groups do
  local n, ttl, plain = tonumber(ARGV[5 + 3 * g]), ARGV[6 + 3 * g], ARGV[7 + 3 * g] == '1'
  local lane, states = KEYS[2 * g - 1], KEYS[2 * g]
  local tenant = string.sub(states, #prefix + 4)
  local ids = {}
  for i = 1, n do ids[i] = ARGV[at + 2 * i - 2] end
  local texts = must('HMGET', states, unpack(ids))
  local orders = orders_for(tenant, ids)
  local held = not sure and mine(lane, at, n)
  local function put_off(i, text)
    rest[#rest + 1] = {n = item + i, key = states, tenant = tenant, id = ids[i], fresh = ARGV[at + 2 * i - 1], ttl = ttl,
      lane = lane, mine = sure or held[i], text = text, order = orders and orders[i], ordered = orders ~= nil}
  end
  local fresh, fields = {}, ARGV
  for i = 1, n do
    if plain and not texts[i] and not (orders and orders[i]) and (sure or held[i]) then
      fresh[#fresh + 1] = ids[i]
      codes[item + i] = 'a'
    else
      put_off(i, texts[i])
    end
  end
  local from = at
  if #fresh < n then
    from, fields = 1, {}
    for i = 1, n do
      if codes[item + i] then
        fields[#fields + 1] = ids[i]
        fields[#fields + 1] = ARGV[at + 2 * i - 1]
      end
    end
  end
  if #fresh > 0 then
    if must('HSET', states, unpack(fields, from, from + 2 * #fresh - 1)) < #fresh then
      -- An id came twice. The first copy keeps what it has, and start.lua decides about the others.
      local first = {}
      for i = 1, n do
        local id, text = ids[i], ARGV[at + 2 * i - 1]
        if codes[item + i] and first[id] then
          codes[item + i] = nil
          put_off(i, first[id])
        elseif codes[item + i] then
          first[id] = text
          redis.call('HSET', states, id, text)
        end
      end
    end
    list_ends(tenant, fresh, ttl)
  end
  item, at = item + n, at + 2 * n
end
if #rest == 0 then
  keep_late()
  return {table.concat(codes)}
end
