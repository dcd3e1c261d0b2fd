-- retire: remove from lanes the names of workers that are gone.
--
-- KEYS[i]  lane stream
-- ARGV[1]  consumer group
-- ARGV[2]  consumer, i.e. this worker, which stays
-- ARGV[3]  milliseconds without a sign of life after which a name is removed
-- ARGV[4]  at most how many
-- returns  how many were removed
--
-- One script, so that nobody can claim between the look and the removal: removing
-- a consumer drops what it has pending, and that would lose messages.

local left = tonumber(ARGV[4])
local removed = 0
for i = 1, #KEYS - 1 do -- the last is never there
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[i], ARGV[1])
  if not foreign(consumers) then
    for _, fields in ipairs(consumers) do
      local c = {}
      for j = 1, #fields, 2 do c[fields[j]] = fields[j + 1] end
      if removed < left and c.name ~= ARGV[2] and c.pending == 0 and c.idle > tonumber(ARGV[3]) then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[i], ARGV[1], c.name)
        removed = removed + 1
      end
    end
  end
end
return removed
