-- kv_list: look through the keys of a tenant, a bounded piece at a time.
--
-- KEYS[1]  index    cs:kv:{tenant}:index
-- KEYS[2]  expiry   cs:kv:{tenant}:expiry
-- ARGV[1]  first key, as ZRANGEBYLEX wants it      ARGV[2] last key, likewise
-- ARGV[3]  at most how many keys to look at
-- returns  the last key looked at ('' when there is no more), then those that have not expired

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local out = {''}
for i = 1, #found do
  local ends = redis.call('ZSCORE', KEYS[2], found[i])
  if not ends or tonumber(ends) > now then out[#out + 1] = found[i] end
end
if #found == tonumber(ARGV[3]) then out[1] = found[#found] end
return out
