-- state: how the state of a message is kept; put before the scripts that need it.
--
-- One string of nine fields, none of which can hold a bar. (A hash would be two
-- commands where this is one, for each message and each script.)
--   phase     waiting, running, done or dead
--   token     of the newest lease
--   verdict   that ended that lease, '' while it runs
--   entry     in its lane, '' while it is parked
--   lane      <tenant>:<priority>
--   fails     attempts that failed
--   crashes   runs that ended without a verdict of the task's
--   worker    who holds it, or held it last
--   digest    of the message; '' when settle had to write the state anew

local form = '^(%a+)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|(%d+)|(%d+)|([^|]*)|([^|]*)$'

-- load returns the state under key, nil when there is none. What is no state was
-- written by somebody else, and is as if it were gone.
local function load(key)
  local text = redis.pcall('GET', key)
  if not text then return nil end
  local phase, token, verdict, entry, lane, fails, crashes, worker, digest
  if type(text) == 'string' then
    phase, token, verdict, entry, lane, fails, crashes, worker, digest = string.match(text, form)
  end
  if not phase then
    redis.call('DEL', key)
    return nil
  end
  return {phase = phase, token = token, verdict = verdict, entry = entry, lane = lane,
    fails = tonumber(fails), crashes = tonumber(crashes), worker = worker, digest = digest}
end

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
