-- The gates of queues that are in a cutover, and what the verbs owe to them. A gate is stored as `queuekit.backend.Gate` tells
-- it: side, epoch, mark, epoch of the mark, fingerprint of the other store.
-- keys: gate held moving tombs

-- The gate, nil if there is none.
function gates.read()
  local raw = redis.call('GET', key.gate)
  if not raw then return nil end
  local side, epoch, mark, other = string.match(raw, '^(%d+) (%d+) (%a+) %d+ (.*)$')
  return {
    epoch = tonumber(epoch), active = epoch % 2 ~= tonumber(side), shut = mark == 'sealed' or mark == 'closed', other = other,
  }
end

-- Whether the schedules of the queue tick here.
function gates.ticks()
  local gate = gates.read()
  return not gate or gate.active
end

-- What an enqueue depends on: an epoch ('': any will do), and a deadline; '': who sends it knows of no cutover.
function gates.guard(epoch, deadline)
  return {epoch = epoch, deadline = tonumber(deadline), told = deadline ~= ''}
end

-- Why the gate refuses a new id, and where the queue has moved to.
function gates.refusal(guard, keyed)
  local gate = gates.read()
  if gate and gate.shut then return 'moved', gate.other end
  if gate and keyed and not guard.told and not (gate.active and gate.epoch == 1) then
    return gate.active and 'stale' or 'moved', gate.other
  end
  if guard.epoch ~= '' and (not gate or gate.epoch ~= tonumber(guard.epoch)) then return 'stale' end
  if guard.deadline and now > guard.deadline then return 'late' end
end

-- What ends, or goes, in a cutover leaves a tombstone, unless there is one of a later generation.
function gates.bury(id, generation)
  local old = redis.call('HGET', key.tombs, id)
  if old and tonumber(string.match(old, '^%d+')) > generation then return end
  redis.call('HSET', key.tombs, id, text(generation) .. ' 0 0\n' .. stamp)
end

-- Whether there is a copy of a job that is not this store's to run.
function gates.knows(id)
  for _, name in ipairs({key.held, key.moving, key.tombs}) do
    if redis.call('HEXISTS', name, id) == 1 then return true end
  end
  return false
end
