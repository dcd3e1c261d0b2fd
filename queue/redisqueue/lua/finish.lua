-- finish: end leases of one queue: the plain part of settle, for tasks that are done
-- and that nobody else has a claim on, a few commands for all of one kind. After
-- lua/states.lua and lua/left.lua. Where it settles every item it returns, and lua/settle.lua, with all
-- that it needs, is never looked at.
--
-- KEYS[1]     dead letters                   cs:{q}:dead
-- KEYS[2k]    lane stream of kind k, of m    cs:{q}:in:<tenant>:<priority>
-- KEYS[2k+1]  states of its tenant           cs:{q}:st:<tenant>
-- ARGV[1]     consumer group
-- ARGV[2]     consumer, i.e. this worker
-- ARGV[3]     key prefix                     cs:{q}:
-- ARGV[4]     milliseconds of a lease
-- ARGV[5]     how many dead letters to keep, about
-- ARGV[6]     milliseconds to keep a dead letter
-- ARGV[7]     how many bytes of a message a dead letter keeps
-- ARGV[8]     milliseconds to keep a state that has to be written anew
-- ARGV[9]     m; then 10 for each kind, from ARGV[10]:
--   lane name (<tenant>:<priority>), verdict (done retry crash park release dead drop),
--   delay in ms (retry crash park), code, reason (dead), the results' key (the
--   issuer's key id) and life in ms ('', 0: none), names of the gates where it has a
--   place, with spaces between, 1 when those that wait for the result are woken, and
--   how many items are of this kind
-- then 4 for each item, those of a kind together:
--   id ('' when none is known), entry, token ('' when not started; with an id: of a copy), result ('': none)
-- returns     a string of n letters, for each item a applied, b lease lost (or not
--             settled: see release), c vanished; numbers 1 to 3 in settle.lua
--
-- Kinds: what many items have in common is sent once.
-- Time: delays are told by the worker as durations and counted from Redis's TIME,
-- so that workers with different clocks agree on what is due.
-- Told: all ids of one issuer go in one message, with spaces between; behind some
-- of them their results, as :<bytes>:<result>, so that whoever waits need not read.
-- Errors: at maxmemory Redis refuses the first command that may need more, for the
-- whole script; other errors come from keys that somebody overwrote. For each item
-- the commands that can fail come before the entry is acknowledged, so what was
-- not settled can be settled again. Acknowledgements and messages are collected,
-- and go out even when a later item fails.

local prefix, codes, rest = ARGV[3], {}, {} -- letters by item; items that settle.lua decides about
set_states(prefix)

local told, told_order = {}, {} -- ids to tell of, by issuer
local carry = 16384 -- bytes of results that still go along: enough for a few, which somebody is likely to wait for
local function tell(issuer, id, result)
  local ids = told[issuer]
  if not ids then
    ids = {}
    told[issuer], told_order[#told_order + 1] = ids, issuer
  end
  if #result <= carry then
    carry = carry - #result
    id = id .. ':' .. #result .. ':' .. result
  end
  ids[#ids + 1] = id
end
local function tell_all()
  for _, issuer in ipairs(told_order) do
    redis.call('PUBLISH', prefix .. 'done:' .. issuer, table.concat(told[issuer], ' '))
  end
end

-- plainly ends the leases of n items from ARGV[at] on: it writes results and, at one
-- time, the states that start wrote, each with the letter d behind it.
local function plainly(kind, first, at, n)
  local ids = {}
  for i = 1, n do ids[i] = ARGV[at + 4 * i - 4] end
  local texts, fields, find, byte = must('HMGET', kind.states, unpack(ids)), {}, string.find, string.byte
  local to = prefix .. 'res:' .. kind.issuer .. ':'
  for i = 1, n do
    local a, text, id = at + 4 * i - 4, texts[i], ids[i]
    local entry, token, result = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
    -- The token is the newest, there is no verdict yet (||), and it runs (|r).
    if text and #token > 0 and find(text, token, 1, true) == 1 and find(text, '||', #token + 1, true) == #token + 1 and
        byte(text, -1) == 114 and byte(text, -2) == 124 then
      if result ~= '' then
        redis.call('SET', to .. id, result, 'PX', kind.life)
        tell(kind.issuer, id, result)
      end
      fields[#fields + 1] = id
      fields[#fields + 1] = text .. 'd'
      leave(kind.lane, entry)
      codes[first + i] = 'a'
    else
      rest[#rest + 1] = {n = first + i, kind = kind, id = id, entry = entry, token = token, result = result}
    end
  end
  if #fields > 0 then redis.call('HSET', kind.states, unpack(fields)) end
end

local last_kind = tonumber(ARGV[9])
local item, at = 0, 10 + 10 * last_kind -- items before this kind, and where in ARGV its items begin
for k = 1, last_kind do
  local a = 10 * k
  local kind, n = {
    lane = KEYS[2 * k], states = KEYS[2 * k + 1], lane_name = ARGV[a], verdict = ARGV[a + 1], delay = tonumber(ARGV[a + 2]),
    code = ARGV[a + 3], reason = ARGV[a + 4], issuer = ARGV[a + 5], life = ARGV[a + 6], gates = ARGV[a + 7], wake = ARGV[a + 8] == '1',
  }, tonumber(ARGV[a + 9])
  if kind.verdict == 'done' and kind.gates == '' and not kind.wake then
    plainly(kind, item, at, n)
  else
    for i = 1, n do
      local b = at + 4 * i - 4
      rest[#rest + 1] = {n = item + i, kind = kind, id = ARGV[b], entry = ARGV[b + 1], token = ARGV[b + 2], result = ARGV[b + 3]}
    end
  end
  item, at = item + n, at + 4 * n
end
if #rest == 0 then
  flush()
  tell_all()
  return table.concat(codes)
end
