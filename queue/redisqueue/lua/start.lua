-- start: begin work on a batch of deliveries of one queue.
--
-- KEYS[2i-1]  state hash of item i          cs:{q}:st:<tenant>:<id>
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
-- Nothing here asks the time: PEXPIRE counts from Redis's own now, so a worker's
-- clock is used only to say how long, never when.
-- ARGV[4]..: another entry of the same message can lie in a lane that is known
-- only from the state hash. It carries the same hash tag, hence the same slot.

local group, consumer, parked, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- owner returns who holds entry in lane, false when nobody does (or no lane is left).
local function owner(lane, entry)
  local p = redis.pcall('XPENDING', lane, group, entry, entry, 1)
  if p.err or #p == 0 then return false end
  return p[1][2]
end

-- alive says whether the entry that the state points to can still lead to a run.
local function alive(state, entry, lane, member)
  if not entry or not lane then return false end
  if state == 'running' then return owner(prefix .. lane, entry) end
  if entry == '' then return redis.call('HEXISTS', parked, member) == 1 end
  local found = redis.pcall('XRANGE', prefix .. lane, entry, entry)
  return not found.err and #found > 0
end

local function begin(key, token, entry, lane, digest, ttl, crashes)
  redis.call('HSET', key, 'state', 'running', 'token', token, 'entry', entry, 'lane', lane,
    'digest', digest, 'crashes', crashes, 'worker', consumer, 'verdict', '')
  redis.call('PEXPIRE', key, ttl)
end

local function start(key, lane_key, entry, token, digest, lane, ttl)
  if owner(lane_key, entry) ~= consumer then return 5, 0, 0 end
  local st = redis.pcall('HMGET', key, 'state', 'token', 'entry', 'lane', 'digest', 'fails', 'crashes')
  if st.err then -- not a hash: somebody wrote over it, which is as if it were gone
    redis.call('DEL', key)
    st = {}
  end
  local state = st[1]
  local fails, crashes = tonumber(st[6] or 0) or 0, tonumber(st[7] or 0) or 0
  if not state then
    begin(key, token, entry, lane, digest, ttl, 0)
    return 1, 1, 0
  end
  -- Without a digest the state was written by settle after the first one had
  -- been lost; it then stands for whatever bytes came under this id.
  if st[5] and st[5] ~= '' and st[5] ~= digest then return 4, 0, 0 end
  if state == 'done' or state == 'dead' then return 2, 0, 0 end
  if state == 'running' and st[2] == token then return 1, fails + 1, crashes end
  local same = st[3] == entry and st[4] == lane
  if not same then
    local tenant, id = string.match(key, ':st:([^:]*):([^:]*)$')
    if alive(state, st[3], st[4], tenant .. ':' .. id) then return 3, 0, 0 end
  end
  if state == 'running' then crashes = crashes + 1 end
  begin(key, token, entry, lane, digest, ttl, crashes)
  return 1, fails + 1, crashes
end

local out = {}
for i = 1, #KEYS / 2 do
  local a = 5 * i
  local state, attempt, crashes =
    start(KEYS[2 * i - 1], KEYS[2 * i], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4])
  out[#out + 1] = state
  out[#out + 1] = attempt
  out[#out + 1] = crashes
end
return out
