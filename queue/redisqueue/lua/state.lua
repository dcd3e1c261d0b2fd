-- state: how the state of a message is kept; put before the scripts that need it.
--
-- One string of nine fields, none of which can hold a bar. (A hash would be two
-- commands where this is one, for each message and each script.)
--   phase     waiting, running, done or dead
--   token     of the newest lease
--   verdict   that ended that lease, '' while it runs. Of start: taken while it runs;
--             while it waits: waits for inputs; throttled, or paid, when its rates need
--             not be asked again; reserved: paid, and waits for its time
--   entry     in its lane, '' while it is parked
--   lane      <tenant>:<priority>
--   fails     attempts that failed
--   crashes   runs that ended without a verdict of the task's
--   worker    who holds it, or held it last
--   digest    of the message; '' when settle had to write the state anew
-- start and settle write the plain case, field by field the same, without parsing it.

local form = '^(%a+)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(%d+)|(%d+)|([^|]*)|([^|]*)$'

-- parse returns the state that text is, nil when it is none. What is no state was
-- written by somebody else, and is as if it were gone.
local function parse(text)
  if type(text) ~= 'string' then return nil end
  local phase, token, verdict, entry, lane, fails, crashes, worker, digest = string.match(text, form)
  if not phase then return nil end
  return {phase = phase, token = token, verdict = verdict, entry = entry, lane = lane,
    fails = tonumber(fails), crashes = tonumber(crashes), worker = worker, digest = digest}
end

-- load returns the state under key, nil when there is none.
local function load(key) return parse(redis.pcall('GET', key)) end

-- save writes st under key: for ttl milliseconds, or for as long as it had.
local function save(key, st, ttl)
  local text = st.phase .. '|' .. st.token .. '|' .. st.verdict .. '|' .. st.entry .. '|' .. st.lane ..
    '|' .. st.fails .. '|' .. st.crashes .. '|' .. st.worker .. '|' .. st.digest
  if ttl then redis.call('SET', key, text, 'PX', ttl) else redis.call('SET', key, text, 'KEEPTTL') end
end

-- owner returns who holds entry in lane, false when nobody does (or no lane is left).
local function owner(lane, group, entry)
  local p = redis.pcall('XPENDING', lane, group, entry, entry, 1)
  if p.err or #p == 0 then return false end
  return p[1][2]
end

-- now_us is Redis's time in microseconds, the same throughout a script; now is it in milliseconds.
-- Microseconds have 16 digits: only string.format writes them whole.
local clock
local function now_us()
  if not clock then
    local time = redis.call('TIME')
    clock = time[1] * 1000000 + time[2]
  end
  return clock
end
local function now() return math.floor(now_us() / 1000) end
