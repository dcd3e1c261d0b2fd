-- state: the form of the state of a message; put after lua/states.lua.
--
-- One string of nine fields, with bars between, none of which can hold a bar:
--   token     of the newest lease
--   verdict   that ended that lease, '' while it runs. Of start: taken while it runs;
--             unasked, while it runs and when it came back from that, where its unique key
--             was not asked for; held, while it runs, of a suspect that has not begun; while it waits: waits for inputs; throttled, or paid, when its rates need
--             not be asked again; reserved: paid, and waits for its time
--   entry     in its lane, '' while it is parked
--   lane      <tenant>:<priority>
--   fails     attempts that failed
--   crashes   runs that ended without a verdict of the task's
--   worker    who holds it, or held it last
--   digest    of the message; '' when settle had to write the state anew
--   phase     r running, w waiting, d done, x dead. rd is done, too, and by the verdict
--             done: the plain end of a lease is written by adding that letter
-- lua/begin.lua and lua/finish.lua deal with the plain case without parsing it.

local form = '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|(%d+)|(%d+)|([^|]*)|([^|]*)|(r?)([rwdx])$'
local phases = {r = 'running', w = 'waiting', d = 'done', x = 'dead'}
local count_digits = 9 -- more would not be written as they were read
local letters = {running = 'r', waiting = 'w', done = 'd', dead = 'x'}

-- parse returns the state that text is, nil when it is none. What is no state was
-- written by somebody else, and is as if it were gone.
local function parse(text)
  if type(text) ~= 'string' then return nil end
  local token, verdict, entry, lane, fails, crashes, worker, digest, before, letter = string.match(text, form)
  if not token or #fails > count_digits or #crashes > count_digits then return nil end
  if before == 'r' and letter == 'd' then verdict = 'done' end
  return {phase = phases[letter], token = token, verdict = verdict, entry = entry, lane = lane,
    fails = tonumber(fails), crashes = tonumber(crashes), worker = worker, digest = digest}
end

-- load returns the state of member, <tenant>:<id>, nil when there is none, or when it is no name of a message.
local function load(member)
  local tenant, id = string.match(member, '^([^:]*):(.*)$')
  if not tenant then return nil end
  local text = redis.pcall('HGET', states_of(tenant), id)
  return not foreign(text) and parse(text) or nil
end

-- save writes st as the state of member: with ttl it is new, and lasts so many
-- milliseconds; else it lasts as long as the one before.
local function save(member, st, ttl)
  local tenant, id = string.match(member, '^([^:]*):(.*)$')
  local text = st.token .. '|' .. st.verdict .. '|' .. st.entry .. '|' .. st.lane .. '|' .. st.fails ..
    '|' .. st.crashes .. '|' .. st.worker .. '|' .. st.digest .. '|' .. letters[st.phase]
  must('HSET', states_of(tenant), id, text)
  if ttl then list_ends(tenant, {id}, ttl) end
end

-- unlist has member wait for no result any more: cs:{q}:need:<member> is a set of <from>:<id>, and it stands in
-- cs:{q}:wait:<from>:<id> of each, see lua/admit.lua.
local function unlist(member)
  local need = base .. 'need:' .. member
  local ids = redis.pcall('SMEMBERS', need)
  if foreign(ids) then ids = {} end
  for _, id in ipairs(ids) do foreign(redis.pcall('SREM', base .. 'wait:' .. id, member)) end
  redis.call('DEL', need)
end

-- owner returns who holds entry in lane and for how many ms since it claimed or renewed it, false when nobody does (or no
-- lane is left).
local function owner(lane, group, entry)
  local p = redis.pcall('XPENDING', lane, group, entry, entry, 1)
  if foreign(p) or #p == 0 then return false end
  return p[1][2], p[1][3]
end
