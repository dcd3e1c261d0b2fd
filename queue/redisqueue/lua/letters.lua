-- letters: look through a piece of the dead letters of a queue, and requeue or forget those that are chosen. After
-- lua/states.lua and lua/state.lua.
--
-- KEYS[1]  dead letters  cs:{q}:dead
-- ARGV[1]  act: requeue or purge
-- ARGV[2]  first and ARGV[3] last entry, as XRANGE wants them
-- ARGV[4]  at most how many entries to look at
-- ARGV[5]  at most how many to act on
-- ARGV[6]  code, ARGV[7] tenant, ARGV[8] id: '' chooses all
-- ARGV[9]  key prefix  cs:{q}:
-- returns  how many were acted on, and the last entry looked at ('' when the letters end here)
--
-- Lanes and states are named by the letters, so they are not among KEYS. They carry the same hash tag, hence the same slot.
-- A state is forgotten only when it says that the message is dead: a letter can be about other bytes under an id that
-- runs, or has ended well.

local dead, act, most = KEYS[1], ARGV[1], tonumber(ARGV[5])
local code, tenant, id = ARGV[6], ARGV[7], ARGV[8]
set_states(ARGV[9])

local function letter(fields)
  local l = {}
  for i = 1, #fields - 1, 2 do l[fields[i]] = fields[i + 1] end
  l.tenant = string.match(l.lane or '', '^([a-z0-9._-]+):[0-2]$')
  return l
end

local function chosen(l)
  return (code == '' or l.code == code) and (tenant == '' or l.tenant == tenant) and
    (id == '' or string.match(l.member or '', ':(.*)$') == id)
end

local function requeue(l)
  if not l.tenant or not l.e or l.e == '' then return false end
  local fresh = redis.pcall('XADD', ARGV[9] .. 'in:' .. l.lane, '*', 'e', l.e)
  if foreign(fresh) then return false end -- a lane that takes nothing keeps its letters
  if l.member and string.match(l.member, '^[a-z0-9._-]+:[A-Za-z0-9_-]+$') then
    local st = load(l.member)
    if st and st.phase == 'dead' then
      local of, name = string.match(l.member, '^([^:]*):(.*)$')
      redis.call('HDEL', states_of(of), name)
    end
  end
  return true
end

local done, last = 0, ''
local found = redis.call('XRANGE', dead, ARGV[2], ARGV[3], 'COUNT', ARGV[4])
for i, entry in ipairs(found) do
  if done == most then return {done, last} end
  local l = letter(entry[2])
  if chosen(l) and (act == 'purge' or requeue(l)) then
    redis.call('XDEL', dead, entry[1])
    done = done + 1
  end
  last = entry[1]
end
if #found < tonumber(ARGV[4]) then last = '' end
return {done, last}
