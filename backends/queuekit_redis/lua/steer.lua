-- Carries out what a person asks for on each job whose state allows it.
-- ARGV: the event, the states in which it is allowed (each with a space before and after), ids
-- Returns for each: the state that was found (false: no such job), the state that it has now (false: it is gone), its
-- generation, why nothing was done (false: it was), and the id that holds its key if that is why.
-- uses: finish place promote counts notes doorbell
-- keys: jobs ended running cancels succeeded failed cancelled progress waiters waiting successors

local event, allowed = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2]

-- Takes an unstarted job from where it stands.
local function take_out(id)
  unplace(id)
  local before = redis.call('HGET', key.waiting, id)
  if before then
    redis.call('HDEL', key.waiting, id)
    redis.call('HDEL', key.successors, before)
  end
end

local function request_cancel(id)
  local claim = parse_ref(redis.call('HGET', key.running, id))
  if redis.call('HSETNX', key.cancels, id, stamp) == 1 then note_event(id, 'cancel', tonumber(claim.delivery)) end
  redis.call('PUBLISH', ARGV[4] .. claim.process, 'wake')
  return {now = 'running'}
end

local function cancel(id, state, c)
  if state == 'running' then return request_cancel(id) end
  take_out(id)
  note_event(id, 'cancel', c.delivery)
  finish(id, redis.call('HGET', key.jobs, id), {state = 'cancelled', kind = 'cancel', attempt = c.attempt})
  return {now = 'cancelled'}
end

local function rerun(id, state, c)
  local blob, over = redis.call('HGET', key.jobs, id), redis.call('HGET', key.ended, id)
  local own = own_options(blob)
  local holder = own.key and holder_of(own.key)
  if holder and holder ~= id then return {now = state, refused = 'key held', holder = holder} end
  local was, kind, ref = string.match(over, '^(%a+) %d+ %S+ (%a+) %d+\n([^\n]*)\n')
  c.attempt, c.lapses, c.crashes, c.due = 0, 0, 0, 0
  c.generation, c.settled = c.generation + 1, settlement(kind, was)
  if ref ~= '' then c.delivery = tonumber(parse_ref(ref).delivery) end
  redis.call('HDEL', key.ended, id)
  redis.call('ZREM', key[state], id)
  redis.call('HDEL', key.progress, id)
  set_counts(id, c)
  note_event(id, 'rerun', c.delivery)
  if own.key and own['until'] == 'finished' then hold_key(id, blob, own) end
  place(id, blob, 0, 0)
  announce(1)
  return {now = 'ready'}
end

local function promote(id)
  put_in_line({id})
  announce(1)
  return {now = 'ready'}
end

local function delete(id, state)
  local blob = redis.call('HGET', key.jobs, id)
  if state == 'succeeded' then
    redis.call('ZREM', key.succeeded .. ':' .. task_of(blob), id)
  elseif state == 'failed' or state == 'cancelled' then
    redis.call('ZREM', key[state], id)
  else
    take_out(id)
  end
  local own, waiters = own_options(blob), redis.call('HGET', key.waiters, id)
  forget({id})
  remember({id})
  if waiters then tell(id, waiters) end
  if own.key then succeed_by(id, own) end
  return {now = false}
end

local ACTS = {cancel = cancel, drain = cancel, rerun = rerun, promote = promote, delete = delete, clean = delete}

local function steer(id)
  local state = state_of(id)
  if not state then return {false, false, 0, 'gone', false} end
  local c = counts_of(id)
  if not string.find(allowed, ' ' .. state .. ' ', 1, true) then return {state, state, c.generation, 'state', false} end
  local became = ACTS[event](id, state, c)
  return {state, became.now, c.generation, became.refused or false, became.holder or false}
end

pass_when_full('HDEL', key.cancels)
local changes = {}
for i = SETTINGS + 3, #ARGV do changes[#changes + 1] = steer(ARGV[i]) end
ring()
return changes
