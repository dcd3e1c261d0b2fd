-- gates: the places of messages in flight; put after parked.lua.
--   cs:{q}:gate:<name>  sorted set: <tenant>:<id> by the end of its lease, Redis's clock, ms
--   cs:{q}:line:<name>  sorted set: <tenant>:<id> that waits for a place, by when it came, ms
-- A place ends with its lease, so a dead worker's is free again without anybody's
-- help. A key of a wrong type was written by somebody else, and is dropped.

local stale_max = 16       -- members of a line that no longer wait, skipped at a time
local line_keep = 691200000 -- ms that a line outlives its last comer: longer than any message may be parked

local in_line = {throttled = true, paid = true} -- verdicts of states that wait for a place

local function places(name) return prefix .. 'gate:' .. name end
local function line(name) return prefix .. 'line:' .. name end

-- hold gives member a place, or keeps it, for another lease (ms).
local function hold(name, member, lease)
  must('ZADD', places(name), now() + lease, member)
  redis.call('PEXPIRE', places(name), 2 * lease)
end

-- hand gives a place to the first in line, whose message goes back to its lane, and
-- says whether there was one. The place is held for it meanwhile, so that nobody
-- who came later takes it.
local function hand(name, lease)
  for _ = 1, stale_max do
    local first = must('ZPOPMIN', line(name))
    if #first == 0 then return false end
    if unpark(first[1], in_line) then
      hold(name, first[1], lease)
      return true
    end
  end
  return false
end

-- free ends member's place and hands it on.
local function free(name, member, lease)
  if must('ZREM', places(name), member) == 1 then hand(name, lease) end
end
