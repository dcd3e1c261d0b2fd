-- start: decides about the items that are not plain: they have a state, ask for more, may
-- be another worker's by now, or have an order to cancel. KEYS, ARGV and what is returned
-- are in lua/begin.lua. After lua/state.lua, lua/parked.lua, lua/gates.lua, lua/left.lua and
-- lua/admit.lua.

set_prefix(ARGV[3], ARGV[1])
local out, seen = {''}, {}

-- begins notes that a suspect runs from now on, and its worker's death is a crash of it.
local function begins(it)
  local st, new = it.st, it.new
  if not st or st.phase ~= 'running' or st.token ~= new.token then return 5 end
  new.fails, new.crashes = st.fails, st.crashes
  if st.verdict == 'held' then
    st.verdict = ''
    save(it.member, st)
  end
  return 1
end

-- start decides about an item: it.st is the state that it had, it.new the one that it gets.
local function start(it)
  local st, new = it.st, it.new
  if it.ask and decode(it.ask.rest).begins then return begins(it) end
  if st then
    -- Without a digest the state stands for whatever bytes came under this id.
    if st.digest ~= '' and st.digest ~= new.digest then return 4 end
    if st.phase == 'done' or st.phase == 'dead' then return 2 end
    local again = st.phase == 'running' and st.token == new.token
    if not again and (st.entry ~= it.entry or st.lane ~= new.lane) and alive(st, it.member) then return 3 end
    new.fails, new.crashes = st.fails, st.crashes
    if again and st.verdict ~= 'taken' then -- the reply was lost
      if it.ask then it.inputs = inputs(it) end
      if it.inputs == -3 then it.inputs = -1 end
      return 1
    end
    if not again and st.phase == 'running' and st.verdict == '' then new.crashes = st.crashes + 1 end -- else it did not run
  end
  if new.crashes == suspect_crashes and not it.ask then it.ask = {gates = '', rest = ''} end
  local code = it.ask and admit(it) or 1
  if code == 8 then new.verdict = 'taken' end
  if code == 1 and new.crashes == suspect_crashes and new.verdict == '' then new.verdict = 'held' end
  if code == 1 or code == 8 then write(it) end
  if code == 1 and st and st.verdict == 'waits' then unlist(it.member) end
  return code
end

local asks = {}
for a = at, #ARGV, 4 do
  asks[tonumber(ARGV[a])] = {plan = ARGV[a + 1], gates = ARGV[a + 2], rest = ARGV[a + 3]}
end

local order_max = 4096 -- bytes of an order; queue.OrderBytesMax

-- cancels returns the orders kept for an item and its plan, nil when there are none. What is larger is none: one key of many
-- megabytes, for a plan of many steps, would be in the reply as often.
local function cancels(it)
  local found = {}
  local function keep(order)
    if type(order) == 'string' and order ~= '' and #order <= order_max then found[#found + 1] = order end
  end
  keep(it.order)
  local plan = it.ordered and it.ask and it.ask.plan
  if plan and plan ~= '' then
    local order = redis.pcall('GETRANGE', prefix .. 'cancel:' .. it.tenant .. ':' .. plan, 0, order_max)
    if not foreign(order) then keep(order) end
  end
  if #found == 0 then return nil end
  return found
end

local function handle(it)
  it.ask, it.member, it.new = asks[it.n], it.tenant .. ':' .. it.id, parse(it.fresh)
  it.entry = it.new.entry
  if not it.mine then
    local who, idle = owner(it.lane, group, it.entry)
    if who ~= consumer then return 5 end
    keep(it.lane, it.entry, idle)
  end
  if seen[it.member] then -- another copy stood before it in the batch
    local text = redis.pcall('HGET', it.key, it.id)
    it.text = not foreign(text) and text
  end
  seen[it.member] = true
  it.st = parse(it.text)
  local orders, code = cancels(it), start(it)
  if code == 1 or code == 8 then
    out[#out + 1] = {it.n, it.new.fails + 1, it.new.crashes, it.first or '', code == 1 and orders or {}, it.inputs or {}}
  end
  return code
end

local ok, fault = pcall(function()
  for _, it in ipairs(rest) do codes[it.n] = string.char(96 + handle(it)) end
  settle_gates()
end)
flush()
if not ok then return {err = type(fault) == 'table' and fault.err or fault} end
keep_late()
out[1] = table.concat(codes)
return out
