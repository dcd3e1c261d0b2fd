-- promote: move messages whose time has come back into their lanes, and drop dead
-- letters that are too old. After lua/states.lua, lua/state.lua and lua/parked.lua.
--
-- KEYS[1]  due set       cs:{q}:due
-- KEYS[2]  dead letters  cs:{q}:dead
-- ARGV[1]  key prefix    cs:{q}:
-- ARGV[2]  at most how many
-- ARGV[3]  milliseconds that a dead letter is kept
-- returns  how many were moved, milliseconds until the next is due (-1: none waits),
--          and 1 when there are states that have ended, see lua/sweep.lua (else 0)
--
-- Due is by Redis's TIME, the clock that settle counted the delay from.

set_prefix(ARGV[1], '')
local members = must('ZRANGEBYSCORE', due, '-inf', now(), 'LIMIT', 0, ARGV[2])
for i = 1, #members do unpark(members[i]) end
foreign(redis.pcall('XTRIM', KEYS[2], 'MINID', string.format('%.0f', math.max(0, now() - ARGV[3]))))
local ended = ended_minute() and 1 or 0
local first = must('ZRANGE', due, 0, 0, 'WITHSCORES')
if #first == 0 then return {#members, -1, ended} end
return {#members, math.max(0, math.ceil(first[2] - now())), ended}
