-- strays: redelivers entries that their lane's group has passed and that no worker holds.
--
-- KEYS[i]  lane stream
-- ARGV[1]  consumer group
-- ARGV[2]  at most how many entries to move
-- returns  how many were moved, or lie behind a place to which the group was set back
--
-- What is given out is pending until it is settled, and then deleted. So somebody else let these go: removed the name of
-- a worker, which drops what it has pending (XGROUP DELCONSUMER), acknowledged them (XACK), or set the group to a later
-- place (XGROUP SETID). A worker that still runs one of them settles it if it is the first; else its lease is lost.

local group, left = ARGV[1], tonumber(ARGV[2])
local piece, pieces = 64, 16 -- entries looked at in one go, and goes: they carry whole messages
local fields_max = 64        -- fields of an entry that are kept; a message has two

-- passed returns the last entry that the group has given out and how many come after it, nil when that is not known.
local function passed(lane)
  local groups = redis.pcall('XINFO', 'GROUPS', lane)
  if foreign(groups) then return nil end
  for _, fields in ipairs(groups) do
    local g = {}
    for j = 1, #fields - 1, 2 do g[fields[j]] = fields[j + 1] end
    if g.name == group then return g['last-delivered-id'], g.lag end
  end
  return nil
end

-- move puts an entry to the end of its lane, and says whether the lane took it.
local function move(lane, entry)
  local fields = entry[2]
  local fresh = redis.pcall('XADD', lane, '*', unpack(fields, 1, math.min(#fields, fields_max)))
  if foreign(fresh) then return false end
  redis.call('XDEL', lane, entry[1])
  return true
end

-- between moves the entries that nobody holds, up to the newest that somebody holds.
local function between(lane, newest)
  local first, moved = '-', 0
  for _ = 1, pieces do
    local found = redis.call('XRANGE', lane, first, newest, 'COUNT', piece)
    if #found == 0 or moved == left then break end
    local held = {}
    -- More can be pending between two entries than there are entries: what was deleted behind a worker's back.
    for _, p in ipairs(redis.call('XPENDING', lane, group, found[1][1], found[#found][1], #found + 10000)) do held[p[1]] = true end
    for _, entry in ipairs(found) do
      if moved < left and not held[entry[1]] and move(lane, entry) then moved = moved + 1 end
    end
    if #found < piece then break end
    first = '(' .. found[#found][1]
  end
  left = left - moved
  return moved
end

local given = 0
for i = 1, #KEYS - 1 do -- the last is never there
  local lane = KEYS[i]
  local last, lag = passed(lane)
  local pending = last and redis.pcall('XPENDING', lane, group)
  if pending and not foreign(pending) then
    local count, newest = pending[1], pending[1] > 0 and pending[3] or '0-0'
    local behind = redis.pcall('XRANGE', lane, '(' .. newest, last, 'COUNT', 1)
    if not foreign(behind) and #behind > 0 then
      redis.call('XGROUP', 'SETID', lane, group, newest)
      given, lag = given + 1, nil
    end
    if count > 0 and not (lag and redis.call('XLEN', lane) - lag <= count) then given = given + between(lane, newest) end
  end
end
return given
