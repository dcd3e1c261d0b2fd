-- purge_lane: forget a piece of what waits in a lane.
--
-- KEYS[1]  lane stream
-- ARGV[1]  consumer group
-- ARGV[2]  first and ARGV[3] last entry, as XRANGE wants them
-- ARGV[4]  at most how many entries to look at
-- returns  how many were forgotten, and the last entry looked at ('' when the lane ends here)
--
-- What a worker holds is pending in the group, and is left alone. (More can be pending between two entries than there are
-- entries: what was deleted behind a worker's back.)

local lane, count = KEYS[1], tonumber(ARGV[4])
local found = redis.pcall('XRANGE', lane, ARGV[2], ARGV[3], 'COUNT', count)
if foreign(found) or #found == 0 then return {0, ''} end
local held = {}
local pending = redis.pcall('XPENDING', lane, ARGV[1], found[1][1], found[#found][1], #found + 10000)
if pending.err then
  if string.sub(pending.err, 1, 7) ~= 'NOGROUP' then return pending end
else
  for _, p in ipairs(pending) do held[p[1]] = true end
end
local waits = {}
for _, entry in ipairs(found) do
  if not held[entry[1]] then waits[#waits + 1] = entry[1] end
end
if #waits > 0 then redis.call('XDEL', lane, unpack(waits)) end
return {#waits, #found < count and '' or found[#found][1]}
