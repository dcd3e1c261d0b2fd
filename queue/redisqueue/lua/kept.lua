-- kept: the orders of one queue that are kept, a bounded piece at a time.
--
-- KEYS[1]  mode      cs:{q}:mode      the order that says whether the queue is paused
-- KEYS[2]  orders    cs:{q}:orders    stream, one field o: orders to carry out once
-- KEYS[3]  cancels   cs:{q}:cancels   stream, one field o: orders to cancel
-- ARGV[1]  entry of orders to begin after, '' for the first
-- ARGV[2]  entry of cancels to begin after, '' for those of the last ARGV[5] ms
-- ARGV[3]  at most how many entries of each
-- ARGV[4]  at most how many bytes an order has; others are left out
-- ARGV[5]  see ARGV[2]
-- returns  the mode ('' for none), the last entry looked at of orders and of cancels ('' where there were none), whether
--          there may be more (0 or 1), then the orders
--
-- What is here was written by somebody: sizes and forms are looked at before anything is sent.

local count, bytes_max = tonumber(ARGV[3]), tonumber(ARGV[4])

local function fits(order) return #order > 0 and #order <= bytes_max end

local mode = redis.pcall('GETRANGE', KEYS[1], 0, bytes_max)
if foreign(mode) or not fits(mode) then mode = '' end

local out = {mode, '', '', 0}

local function take(place, key, from)
  local found = redis.pcall('XRANGE', key, from, '+', 'COUNT', count)
  if foreign(found) then return end
  for _, entry in ipairs(found) do
    local fields = entry[2]
    if #fields == 2 and fields[1] == 'o' and fits(fields[2]) then out[#out + 1] = fields[2] end
    out[place] = entry[1]
  end
  if #found == count then out[4] = 1 end
end

take(2, KEYS[2], ARGV[1] == '' and '-' or '(' .. ARGV[1])
local since
if ARGV[2] == '' then
  local time = redis.call('TIME')
  since = string.format('%d', math.max(0, time[1] * 1000 - tonumber(ARGV[5])))
else
  since = '(' .. ARGV[2]
end
take(3, KEYS[3], since)
return out
