-- sweep: remove states whose time is over. After lua/states.lua.
--
-- KEYS[1]  minutes     cs:{q}:ends
-- ARGV[1]  key prefix  cs:{q}:
-- ARGV[2]  about how many; a list is emptied one batch of a worker's at a time
-- returns  a list of one: how many ids were looked at
--
-- A state that was made anew meanwhile goes with the first list that has its id. That
-- takes an operator who requeued a dead letter, and other bytes under the same id since.

set_states(ARGV[1])
local most, done = tonumber(ARGV[2]), 0
while done < most do
  local minute = ended_minute()
  if not minute then break end
  local text = must('LPOP', base .. 'ends:' .. minute)
  if text then
    local tenant, words = string.match(text, '^(%S+) (.*)$')
    local ids = {}
    for id in string.gmatch(words or '', '%S+') do
      if #ids == 2048 then break end -- no worker lists so many at once
      ids[#ids + 1] = id
    end
    if #ids > 0 then must('HDEL', states_of(tenant), unpack(ids)) end
    done = done + math.max(1, #ids)
  else
    redis.call('ZREM', KEYS[1], minute)
    done = done + 1
  end
end
return {done}
