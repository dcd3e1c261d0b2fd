-- admit: what start asks before it grants a message: its inputs, its unique key and
-- its gates. After lua/begin.lua, whose names it uses, and lua/gates.lua; before lua/start.lua.
--
-- gates  JSON: a list of {name, most in flight, microseconds between two, burst}
-- rest   JSON: {left: ms until it expires, after: [ids], from: result key, unique: key, window: ms}
--
--   cs:{q}:res:<from>:<id>        a result, see lua/settle.lua
--   cs:{q}:wait:<from>:<id>       set: <tenant>:<id> of those that wait for that result
--   cs:{q}:need:<tenant>:<id>     set: <from>:<id> of the results that it waits for
--   cs:{q}:unique:<tenant>:<key>  the id that holds the key, for its window
--   cs:{q}:rate:<name>            when the gate is even with its rate, microseconds, Redis's clock

local waiters_max = 1024     -- that one result wakes at once; a plan has at most 256 steps
local look_again = 60000     -- ms until those beyond look again by themselves
local inline_max = 1048576   -- bytes of inputs in one reply; larger ones are read apart
local batch_max = 67108864   -- bytes of inputs that one call grants; what is beyond comes again
local come_again = 1000      -- ms until it does
local inputs_max = 67108864  -- bytes of inputs of one message; queue.InputsBytesMax

local hand_max = 64          -- places of one gate that one call hands out

-- A suspect is a message whose next crash makes it poison. When a worker dies all
-- that it had counts a crash, whichever was to blame, so by then the guilty and the
-- innocent look the same. From here on they run one at a time in each queue, behind
-- a gate of their own, and a crash tells.
local suspect_crashes = 2                    -- queue.SuspectCrashes
local suspect_gate = {'_suspect', 1, 0, 1}   -- suspectGate in start.go
local state_grace = 3600000                  -- ms; queue.StateGrace

local inline_left, batch_left = inline_max, batch_max

local decoded = {}
local function decode(text)
  if text == '' then return {} end
  if not decoded[text] then decoded[text] = cjson.decode(text) end
  return decoded[text]
end

-- write writes the state that it gets. One that was there keeps its end.
local function write(it) save(it.member, it.new, not it.st and it.ttl or nil) end

-- set_aside parks it until the time, in ms, or until it expires, and leaves its
-- entry. It counts no attempt. false: the entry is gone.
local function set_aside(it, why, at)
  local bytes = message(it.lane, it.entry, message_max)
  if not bytes then return false end
  local new = it.new
  park(it.member, new.lane, bytes, math.min(at, now() + it.left))
  new.phase, new.token, new.verdict, new.entry = 'waiting', '', why, ''
  write(it)
  leave(it.lane, it.entry)
  return true
end

-- missing returns which results are not there, and how many bytes the others have.
local function missing(rest)
  local out, size = {}, 0
  for _, id in ipairs(rest.after) do
    local n = redis.pcall('STRLEN', prefix .. 'res:' .. rest.from .. ':' .. id)
    if foreign(n) or n == 0 then out[#out + 1] = id else size = size + n end
  end
  return out, size
end

-- enlist has a message that is parked wait for results.
local function enlist(it, rest, ids)
  local need, keep = prefix .. 'need:' .. it.member, it.left + 3600000
  unlist(it.member)
  for _, id in ipairs(ids) do
    local key = prefix .. 'wait:' .. rest.from .. ':' .. id
    if must('SCARD', key) < waiters_max then
      redis.call('SADD', key, it.member)
      if redis.call('PTTL', key) < keep then redis.call('PEXPIRE', key, keep) end
    else
      must('ZADD', due, 'LT', now() + look_again, it.member)
    end
    redis.call('SADD', need, rest.from .. ':' .. id)
  end
  redis.call('PEXPIRE', need, keep)
end

-- inputs returns the results, or -1: read them apart, -2: they are too large,
-- -3: no more of them in this call.
local function inputs(it, size)
  local rest = decode(it.ask.rest)
  if not rest.after then return {} end
  if not size then
    local _
    _, size = missing(rest)
  end
  if size > inputs_max then return -2 end
  if size > batch_left then return -3 end
  batch_left = batch_left - size
  if size > inline_left then return -1 end
  inline_left = inline_left - size
  local out = {}
  for i, id in ipairs(rest.after) do
    local got = redis.pcall('GET', prefix .. 'res:' .. rest.from .. ':' .. id)
    out[i] = not foreign(got) and got or ''
  end
  return out
end

-- granted says whether a message that had the state st was granted before, and has its unique key or had it. What did not ask
-- for it has not: not what was put aside, and not what came before its time, even if its worker died before it could say so.
local aside = {waits = true, throttled = true, reserved = true, paid = true, park = true, unasked = true}
local function granted(st)
  if not st or st.verdict == 'taken' then return false end
  return st.fails + st.crashes > 0 or not aside[st.verdict]
end

-- At maxmemory Redis refuses the first command of a script that may need more, and only
-- the first that writes at all. So what may need more comes before what does not.

-- Of each gate that this call meets: used, places taken; waits, how many stand in
-- line; even, its rate; and limit, every, burst. Written back by settle_gates.
local met, met_order = {}, {}
local function meet(name)
  local g = met[name]
  if not g then
    g = {name = name}
    met[name], met_order[#met_order + 1] = g, g
  end
  return g
end

local function used(g)
  if not g.used then
    g.used = must('ZCOUNT', places(g.name), string.format('%.0f', now()), '+inf')
  end
  return g.used
end

local function even(g)
  if not g.even then
    local text = redis.pcall('GET', prefix .. 'rate:' .. g.name)
    g.even = not foreign(text) and text and tonumber(text) or 0
  end
  return math.max(g.even, now_us())
end

-- stand puts it in the line of g and returns when it is to look by itself: others
-- hand it a place before, unless all that hold one die. Then g.limit places come
-- free with each lease, so that those in line do not all come at once.
local function stand(it, g)
  must('ZADD', line(g.name), 'NX', now(), it.member)
  redis.call('PEXPIRE', line(g.name), line_keep)
  g.waits = g.waits and g.waits + 1 or redis.call('ZCARD', line(g.name))
  return now() + lease * (1 + math.floor(g.waits / g.limit))
end

-- take_own lets the gates count without the place that it has: whoever was here
-- before may have been handed one, or have died with one.
local function take_own(it, gates)
  local own = {}
  for _, gate in ipairs(gates) do
    local g = meet(gate[1])
    g.limit, g.every, g.burst = gate[2], gate[3], gate[4]
    local ends = g.limit > 0 and it.st and used(g) > 0 and must('ZSCORE', places(g.name), it.member)
    if ends and tonumber(ends) >= now() then
      g.used = g.used - 1
      own[#own + 1] = g
    end
  end
  return own
end

-- time_of returns when its rates let it begin, in microseconds, and pays them, unless
-- it expires before. A message that has to wait pays at once and passes when its time
-- has come, so each of many that wait has a time of its own.
-- Source: the generic cell rate algorithm, ITU-T I.371.
local function time_of(it, gates)
  local at = now_us()
  for _, gate in ipairs(gates) do
    local g = met[gate[1]]
    if g.every > 0 then at = math.max(at, even(g) - (g.burst - 1) * g.every) end
  end
  if at > now_us() + it.left * 1000 then return at, 'throttled' end
  for _, gate in ipairs(gates) do
    local g = met[gate[1]]
    if g.every > 0 then g.even, g.paid = even(g) + g.every, true end
  end
  return at, 'reserved'
end

-- closed asks all gates of it, and takes from all or none. nil: it may begin; else
-- when it is to come again, in ms, and the word for why.
local function closed(it, gates)
  local paid = it.st and (it.st.verdict == 'reserved' or it.st.verdict == 'paid')
  for _, gate in ipairs(gates) do
    local g = met[gate[1]]
    if g.limit > 0 and used(g) >= g.limit then return stand(it, g), paid and 'paid' or 'throttled' end
  end
  if paid then return nil end
  local at, why = time_of(it, gates)
  if at > now_us() then return math.ceil(at / 1000), why end
  return nil
end

local function pass(it, gates)
  local own = take_own(it, gates)
  local at, why = closed(it, gates)
  if at then
    for _, g in ipairs(own) do must('ZREM', places(g.name), it.member) end
    return at, why
  end
  for _, gate in ipairs(gates) do
    local g = met[gate[1]]
    if g.limit > 0 then
      g.used = used(g) + 1
      hold(g.name, it.member, lease)
      if it.st then must('ZREM', line(g.name), it.member) end
    end
  end
  return nil
end

-- settle_gates writes the rates back, and hands out places that came free by
-- themselves or were given back: whoever is handed one may find another gate closed.
local function settle_gates()
  for _, g in ipairs(met_order) do
    if g.paid then
      local left = math.ceil((g.even - now_us()) / 1000)
      redis.call('SET', prefix .. 'rate:' .. g.name, string.format('%.0f', g.even), 'PX', math.max(1, left))
    end
    if g.limit > 0 then
      redis.call('ZREMRANGEBYSCORE', places(g.name), '-inf', string.format('(%.0f', now()))
      for _ = 1, math.min(g.limit - used(g), hand_max) do
        if not hand(g.name, lease) then break end
      end
    end
  end
end

-- admit returns what start answers about it: 1, 6, 7 or 8; 5 when its entry is gone.
local function admit(it)
  local rest = decode(it.ask.rest)
  local function aside_until(at, why, code) return set_aside(it, why, at) and code or 5 end
  it.left = rest.left or math.max(1, tonumber(it.ttl) - state_grace)
  if rest.after then
    local ids, size = missing(rest)
    if #ids > 0 then
      local code = aside_until(now() + it.left, 'waits', 6)
      if code == 6 then enlist(it, rest, ids) end
      return code
    end
    it.inputs = inputs(it, size)
    if it.inputs == -3 then return aside_until(now() + come_again, 'throttled', 7) end
  end
  local key
  if rest.unique and not granted(it.st) then
    local tenant, id = string.match(it.member, '^([^:]*:)(.*)$')
    key = prefix .. 'unique:' .. tenant .. rest.unique
    local first = redis.pcall('GET', key)
    if not foreign(first) and first and #first <= 64 and string.find(first, '^[%w_-]+$') then
      if first ~= id then
        it.first, it.inputs = first, nil
        return 8
      end
      key = nil
    end
  end
  local gates = it.ask.gates ~= '' and decode(it.ask.gates) or {}
  if it.new.crashes == suspect_crashes then
    gates = {unpack(gates)}
    gates[#gates + 1] = suspect_gate
  end
  if #gates > 0 then
    local at, why = pass(it, gates)
    if at then return aside_until(at, why, 7) end
  end
  if key then redis.call('SET', key, string.match(it.member, ':(.*)$'), 'PX', rest.window) end
  return 1
end
