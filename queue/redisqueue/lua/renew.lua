-- renew: let leases of one queue last on. After lua/states.lua, lua/state.lua, lua/parked.lua and lua/gates.lua.
--
-- KEYS[i]     lane stream of item i
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     key prefix                    cs:{q}:
-- ARGV[4]     milliseconds of a lease
-- ARGV[4i+1]  <tenant>:<id>  ARGV[4i+2] entry  ARGV[4i+3] token, '' when it was not started
-- ARGV[4i+4]  names of the gates where it has a place, with spaces between
-- returns     the numbers i of the leases that are lost
--
-- A lease lasts by the idle time that Redis keeps for a pending entry, and
-- XCLAIM sets it to 0. XCLAIM alone would take an entry back from a worker that
-- recovered it, so ownership is asked first: the newest token, or, where there
-- is none, the entry's owner. With the newest token the entry is ours even when
-- another worker has just recovered it: it has not started it, and its start will
-- be told that it is lost.

local group, consumer, lease = ARGV[1], ARGV[2], tonumber(ARGV[4])
set_prefix(ARGV[3], group)

local function held(member, lane, entry, token)
  local st
  if token ~= '' then st = load(member) end
  if not st then return owner(lane, group, entry) == consumer end
  return st.phase == 'running' and st.token == token
end

local lost = {}
for i = 1, #KEYS - 1 do -- the last is never there
  local a, lane = 4 * i + 1, KEYS[i]
  local member, entry = ARGV[a], ARGV[a + 1]
  local kept = false
  if held(member, lane, entry, ARGV[a + 2]) then
    local got = redis.pcall('XCLAIM', lane, group, consumer, 0, entry, 'JUSTID')
    kept = not foreign(got) and #got > 0
  end
  if kept then
    for name in string.gmatch(ARGV[a + 3], '%S+') do
      hold(name, member, lease)
    end
  else
    lost[#lost + 1] = i
  end
end
return lost
