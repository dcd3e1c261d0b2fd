-- take_over: take over what a lane's dead workers held.
--
-- KEYS[1]  lane stream
-- ARGV[1]  consumer group
-- ARGV[2]  consumer, i.e. this worker
-- ARGV[3]  milliseconds without a sign of life after which a delivery is taken over
-- ARGV[4]  place in the pending list to go on from, and ARGV[5] at most how many
-- ARGV[6]  at most how many bytes an entry has that is sent whole; each name and value beyond the two of a message
--          counts ARGV[7] besides: many that are empty are a large reply, too
-- returns  as XAUTOCLAIM: {cursor, {{entry, fields}}, {entries that are gone}}; in place of the fields of a larger entry
--          its number of bytes
--
-- What is too large to be claimed, since the reply was, comes here when its lease is over, and must be put aside.

local got = redis.pcall('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'COUNT', ARGV[5])
if got.err then return got end
for _, entry in ipairs(got[2]) do
  local texts = entry and entry[2] or {}
  local size = (#texts - 2) * ARGV[7]
  for _, text in ipairs(texts) do size = size + #text end
  if size > tonumber(ARGV[6]) then entry[2] = size end
end
return got
