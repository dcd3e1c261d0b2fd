-- look: claim at most one message from each of many lanes, and at most so many in all.
--
-- KEYS     lanes of one queue, and the key that is never there
-- ARGV[1]  consumer group
-- ARGV[2]  consumer, i.e. this worker
-- ARGV[3]  at most how many messages
-- returns  as XREADGROUP: {{lane, {{entry, fields}}}, ...}
--
-- XREADGROUP bounds what comes from each lane and not what comes from all. So it is
-- asked about as many lanes at a time as messages are still wanted. An error of it is
-- returned when nothing was claimed before; else what was claimed must be handed out.

local left, first, out = tonumber(ARGV[3]), 1, {}
while left > 0 and first < #KEYS do
  local last = math.min(first + left, #KEYS) - 1
  local read = {'XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS'}
  for i = first, last do read[#read + 1] = KEYS[i] end
  for _ = first, last do read[#read + 1] = '>' end
  local got = redis.pcall(unpack(read))
  if got and got.err then
    if #out == 0 then return got end
    return out
  end
  for _, stream in ipairs(got or {}) do
    out[#out + 1] = stream
    left = left - 1
  end
  first = last + 1
end
return out
