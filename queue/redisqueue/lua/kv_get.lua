-- kv_get: read one value of a tenant.
--
-- KEYS[1]  values   cs:kv:{tenant}:values   hash: key -> "<expiry in ms, 0 never>|<value>"
-- ARGV[1]  key
-- returns  the value, or nil when there is none (or no longer)
--
-- Expiry is by Redis's TIME in every kv script; workers tell durations only.

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return false end
local bar = string.find(record, '|', 1, true)
local expiry = tonumber(string.sub(record, 1, (bar or 1) - 1))
if not expiry then return false end
if expiry > 0 then
  local time = redis.call('TIME')
  if expiry <= time[1] * 1000 + math.floor(time[2] / 1000) then return false end
end
return string.sub(record, bar + 1)
