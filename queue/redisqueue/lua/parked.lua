-- parked: messages that wait outside their lane (a key of a wrong type was written by somebody else, and is dropped); put
-- after states.lua and state.lua. Uses nothing but its arguments and prefix, which each
-- script that needs it sets with set_prefix before it does anything else of it.

local prefix, due, parked, group
local put_off = 60000 -- ms until a lane that refuses an entry is tried again

local function set_prefix(text, workers)
  prefix, due, parked, group = text, text .. 'due', text .. 'parked', workers
  set_states(text)
end

-- message returns the bytes that an entry carries, or what stands in their place
-- as evidence when it is malformed, cut to most; nil when the entry is gone.
local function message(lane, entry, most)
  local found = redis.pcall('XRANGE', lane, entry, entry)
  if foreign(found) or #found == 0 then return nil end
  local fields = found[1][2]
  if #fields == 2 and fields[1] == 'e' then return fields[2] end
  local parts = {}
  for i = 1, math.min(#fields, 64), 2 do
    parts[#parts + 1] = string.sub(fields[i], 1, 1024) .. '=' .. string.sub(fields[i + 1] or '', 1, most)
  end
  return table.concat(parts, '\n')
end

-- park keeps a message until the time, in ms.
local function park(member, lane_name, bytes, at)
  must('HSET', parked, member, lane_name .. '@' .. string.format('%.0f', now()) .. '|' .. bytes)
  must('ZADD', due, at, member)
end

local function forget(member)
  must('ZREM', due, member)
  must('HDEL', parked, member)
end

-- alive says whether the entry that a state points to can still lead to a run. What is parked and due at no time cannot: somebody deleted the due set.
local function alive(st, member)
  if st.phase == 'running' then return owner(prefix .. 'in:' .. st.lane, group, st.entry) end
  if st.entry == '' then return must('HEXISTS', parked, member) == 1 and must('ZSCORE', due, member) end
  local found = redis.pcall('XRANGE', prefix .. 'in:' .. st.lane, st.entry, st.entry)
  return not foreign(found) and #found > 0
end

-- unpark moves a parked message into its lane, and says whether it did. With why
-- it does so only while the verdict of its state is among these. Lanes and states are named by what
-- is parked, so they are not among KEYS; they carry the same hash tag. What is
-- parked was written by a worker; whoever else can write there could as well
-- write to the lanes.
local function unpark(member, why)
  local record = must('HGET', parked, member)
  local lane, bytes
  if record and string.find(member, '^[a-z0-9._-]+:[A-Za-z0-9_-]+$') then lane, bytes = string.match(record, '^([a-z0-9._-]+:[0-2])@?%d*|(.*)$') end
  if not lane then
    forget(member)
    return false
  end
  local st = load(member)
  if why and st and not why[st.verdict] then return false end
  local entry = redis.pcall('XADD', prefix .. 'in:' .. lane, '*', 'e', bytes)
  if foreign(entry) then
    must('ZADD', due, now() + put_off, member)
    return false
  end
  if st and st.phase == 'waiting' then
    st.entry, st.lane = entry, lane
    save(member, st)
  end
  forget(member)
  return true
end
