-- purge_parked: forget a piece of what is parked for some lanes of a queue. After lua/states.lua and lua/state.lua.
--
-- KEYS[1]  due set          cs:{q}:due
-- KEYS[2]  parked messages  cs:{q}:parked
-- ARGV[1]  key prefix        cs:{q}:
-- ARGV[2]  place in the due set to begin at
-- ARGV[3]  at most how many members to look at
-- ARGV[4]  at most how many to forget
-- ARGV[5]  forget those parked before this time (ms, Redis's clock)
-- ARGV[6...]  lane names (<tenant>:<priority>)
-- returns  how many were forgotten, and the place to go on from (-1 when the set ends here)
--
-- The state of what is forgotten says that it is dead, so that a copy that somebody kept does not bring it back.

local due, parked = KEYS[1], KEYS[2]
local from, count, most, before = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lanes, tenants = {}, {}
set_states(ARGV[1])
for i = 6, #ARGV do
  lanes[ARGV[i]] = true
  tenants[string.match(ARGV[i], '^(.*):')] = true
end

local function chosen(member)
  if not tenants[string.match(member, '^(.*):') or ''] then return false end
  local record = redis.pcall('HGET', parked, member)
  if foreign(record) or not record then return false end
  local lane, at = string.match(record, '^([a-z0-9._-]+:[0-2])@?(%d*)|')
  return lane and lanes[lane] and (tonumber(at) or 0) < before
end

local members = redis.pcall('ZRANGE', due, from, from + count - 1)
if foreign(members) then members = {} end
local done, kept = 0, 0
for _, member in ipairs(members) do
  if done == most then return {done, from + kept} end
  if chosen(member) then
    redis.call('ZREM', due, member)
    redis.call('HDEL', parked, member)
    unlist(member)
    local st = load(member)
    if st then
      st.phase, st.verdict, st.entry = 'dead', 'purge', ''
      save(member, st)
    end
    done = done + 1
  else
    kept = kept + 1
  end
end
return {done, #members < count and -1 or from + kept}
