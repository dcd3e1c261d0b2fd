-- left: entries that are to be left; for scripts whose ARGV[1] is the consumer group.

-- leave and flush acknowledge and delete entries, all of one lane at once.
local left, left_order = {}, {}
local function leave(lane, entry)
  local entries = left[lane]
  if not entries then
    entries = {}
    left[lane], left_order[#left_order + 1] = entries, lane
  end
  entries[#entries + 1] = entry
end
local function flush()
  for _, lane in ipairs(left_order) do
    redis.call('XACK', lane, ARGV[1], unpack(left[lane]))
    redis.call('XDEL', lane, unpack(left[lane]))
  end
end
