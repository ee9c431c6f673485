-- Carries out what a person asks for on each job whose state allows it.
-- ARGV: the event, the states in which it is allowed (each with a space before and after), ids
-- Returns the change of each.
-- uses: life record line keys notes retention doorbell gates
-- keys: jobs ended running cancels succeeded failed cancelled progress waiters gate

local event, allowed = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2]
local ENDED = {failed = key.failed, cancelled = key.cancelled}

-- Takes an unstarted job from where it stands.
local function take_out(id)
  line.take_out(id)
  keys.wait_no_more(id)
end

local function request_cancel(id)
  local run = record.run(redis.call('HGET', key.running, id))
  if redis.call('HSETNX', key.cancels, id, stamp) == 1 then notes.event(id, 'cancel', run.delivery) end
  redis.call('PUBLISH', ARGV[4] .. run.claimant, 'wake')
  return 'running'
end

local function cancel(id, state, c)
  if state == 'running' then return request_cancel(id) end
  take_out(id)
  notes.event(id, 'cancel', c.delivery)
  local blob = redis.call('HGET', key.jobs, id)
  life.finish(id, blob, record.own(blob), {state = 'cancelled', event = 'cancel', attempt = c.attempt})
  return 'cancelled'
end

local function rerun(id, state, c)
  local gate = gates.read()
  if gate and not gate.active then return state, {refused = 'moved', reason = gate.other} end
  local blob = redis.call('HGET', key.jobs, id)
  local own = record.own(blob)
  local holder = own.key and keys.holder_of(own.key)
  if holder and holder ~= id then return state, {refused = 'key held', holder = holder} end
  c.settled, c.delivery = retention.settled(id)
  c.attempt, c.lapses, c.crashes, c.due, c.started = 0, 0, 0, 0, 0
  c.generation = c.generation + 1
  local timed = blob
  blob = record.without_times(timed)
  if blob ~= timed then redis.call('HSET', key.jobs, id, blob) end
  redis.call('HDEL', key.ended, id)
  redis.call('ZREM', ENDED[state], id)
  redis.call('HDEL', key.progress, id)
  record.set_counts(id, c)
  notes.event(id, 'rerun', c.delivery)
  if own.key and own['until'] == 'finished' then keys.hold(id, blob, own) end
  return line.make_ready(id, blob, c)
end

local function promote(id)
  line.promote({id})
  doorbell.announce(1)
  return 'ready'
end

local function delete(id, state)
  local blob = redis.call('HGET', key.jobs, id)
  if state == 'succeeded' then
    redis.call('ZREM', key.succeeded .. ':' .. record.task(blob), id)
  elseif ENDED[state] then
    redis.call('ZREM', ENDED[state], id)
  else
    take_out(id)
  end
  if present(key.gate) then gates.bury(id, record.counts(id).generation) end
  local own, channels = record.own(blob), redis.call('HGET', key.waiters, id)
  local how, delivery = retention.settled(id)
  retention.forget({id})
  retention.remember({id, how and retention.settled_run(id, delivery, how)})
  if channels then doorbell.tell(id, channels) end
  if own.key then keys.follow(id, own) end
  return nil
end

local ACTS = {cancel = cancel, drain = cancel, rerun = rerun, promote = promote, delete = delete, clean = delete}

local function steer(id)
  local state = line.state_of(id)
  if not state then return record.unchanged(id, nil, {refused = 'gone'}) end
  if not string.find(allowed, ' ' .. state .. ' ', 1, true) then return record.unchanged(id, state, {refused = 'state'}) end
  local c = record.counts(id)
  local became, refusal = ACTS[event](id, state, c)
  return record.change(id, state, became, c.generation, refusal or NONE)
end

pass_when_full('HDEL', key.cancels)
local changes = {}
for i = SETTINGS + 3, #ARGV do changes[#changes + 1] = steer(ARGV[i]) end
doorbell.ring()
return changes
