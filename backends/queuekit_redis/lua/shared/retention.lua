-- Records of finished jobs, and the memory of ids whose record is gone: a set of ids a minute, of which the last three are
-- asked and the fourth is written over.
-- uses: record
-- keys: jobs counts ended succeeded failed cancelled tasks errors history progress logs spared known0 known1 known2 known3

local MINUTE, SETS = 60, 4

local function known_set(minute)
  return ({key.known0, key.known1, key.known2, key.known3})[minute % SETS + 1]
end

function retention.remember(ids)
  if #ids == 0 then return end
  local minute = math.floor(clock[1] / MINUTE)
  local set, mark = known_set(minute), text(minute)
  if redis.call('SISMEMBER', set, mark) == 0 then
    redis.call('UNLINK', set)
    redis.call('SADD', set, mark)
    redis.call('EXPIRE', set, MINUTE * SETS)
  end
  redis.call('SADD', set, unpack(ids))
end

local ACKED = {succeeded = 'S', failed = 'F', cancelled = 'C'}

-- How a run was settled: by which end, or which way back.
function retention.settlement(event, state)
  return event == 'ack' and state or event
end

-- How a run was settled, as it is remembered.
function retention.settled_run(id, delivery, how)
  return id .. text(delivery) .. how
end

-- How a job has ended: its state, by which event, the address of its last run, and the reason; nil if it has not.
function retention.ending(id)
  local over = redis.call('HGET', key.ended, id)
  if not over then return nil end
  local state, event, size, address, reason = string.match(over, '^(%a+) %d+ %S+ (%a+) (%d+) %d+\n([^\n]*)\n(.*)$')
  return {state = state, event = event, address = address, reason = string.sub(reason, 1, tonumber(size))}
end

-- How the last settled run of a job was settled, and its delivery.
function retention.settled(id)
  local over = retention.ending(id)
  if over and over.address ~= '' then
    return retention.settlement(over.event, over.state), record.run(over.address).delivery
  end
  local c = record.counts(id)
  return c.settled, c.delivery
end

-- Remembers ids and how their last runs were settled; without addresses their records are asked. Hardly any job has more
-- than one run; of those with one run the end alone says which it was.
function retention.remember_runs(ids, addresses, how)
  local members, n = {}, 0
  local several = redis.call('EXISTS', key.counts) == 1 and redis.call('HMGET', key.counts, unpack(ids))
  for i, id in ipairs(ids) do
    if several and several[i] then
      local delivery = addresses and record.run(addresses[i]).delivery or select(2, retention.settled(id))
      members[n + 1], members[n + 2], n = id, retention.settled_run(id, delivery, how), n + 2
    else
      members[n + 1], n = id .. ACKED[how], n + 1
    end
  end
  retention.remember(members)
end

local function any_remembered(...)
  local minute = math.floor(clock[1] / MINUTE)
  for age = 0, SETS - 2 do
    for _, found in ipairs(redis.call('SMISMEMBER', known_set(minute - age), ...)) do
      if found == 1 then return true end
    end
  end
  return false
end

function retention.remembers(id)
  return any_remembered(id, id .. ACKED.succeeded, id .. ACKED.failed, id .. ACKED.cancelled)
end

function retention.remembers_run(id, delivery, how)
  local run = retention.settled_run(id, delivery, how)
  return any_remembered(run, ACKED[how] and id .. ACKED[how] or run)
end

function retention.forget(ids)
  if #ids == 0 then return end
  redis.call('HDEL', key.jobs, unpack(ids))
  redis.call('HDEL', key.ended, unpack(ids))
  for _, name in ipairs({key.counts, key.errors, key.history, key.progress, key.logs}) do
    if present(name) then redis.call('HDEL', name, unpack(ids)) end
  end
end

-- Drops a task's succeeded records that are too old or too many, a bounded number at a time; how many.
function retention.trim(task, count)
  local name = key.succeeded .. ':' .. task
  local old = due(name)
  if #old > 0 then
    redis.call('ZREM', name, unpack(old))
    retention.forget(old)
  end
  local surplus = count < 0 and 0 or redis.call('ZCARD', name) - count
  if surplus <= 0 then return #old end
  local last = math.min(surplus, BULK) - 1
  local ids = redis.call('ZRANGE', name, 0, last)
  redis.call('ZREMRANGEBYRANK', name, 0, last)
  retention.remember_runs(ids, nil, 'succeeded')
  retention.forget(ids)
  return #old + #ids
end

-- Puts a record where its age cuts it.
function retention.put(id, blob, state, ends)
  if state ~= 'succeeded' then return redis.call('ZADD', state == 'failed' and key.failed or key.cancelled, ends, id) end
  local task = record.task(blob)
  redis.call('ZADD', key.succeeded .. ':' .. task, ends, id)
  redis.call('SADD', key.tasks, task)
end

-- Puts succeeded records under the count limit whose one-minute grace for waiters is over.
local function limit_spared(bound)
  for _, spared in ipairs(redis.call('ZRANGEBYSCORE', key.spared, '-inf', now, 'LIMIT', 0, bound)) do
    redis.call('ZREM', key.spared, spared)
    local ends, count, id = string.match(spared, '^(%d+) (%d+) (.*)$')
    if redis.call('HEXISTS', key.ended, id) == 1 then
      local blob = redis.call('HGET', key.jobs, id)
      retention.put(id, blob, 'succeeded', ends)
      retention.trim(record.task(blob), tonumber(count))
    end
  end
end

-- The longest that applies: the job's own, that of its ack, the backend's.
local function wanted(own, over)
  if own.age then return own.age, own.count or -1 end
  if over.age then return over.age, over.count end
  if over.state == 'succeeded' then return tonumber(ARGV[1]), tonumber(ARGV[2]) end
  return tonumber(ARGV[3]), -1
end

local function write(id, blob, over, age, count, awaited)
  local ends = text(now + age)
  redis.call('HSET', key.ended, id, table.concat({
    over.state, ' ', stamp, ' ', over.attempt, ' ', over.event, ' ', #over.reason, ' ', ends, '\n', over.address, '\n',
    over.reason, over.result,
  }))
  if over.state == 'succeeded' and awaited and count >= 0 then
    redis.call('ZADD', key.spared, now + KEEP_FOR_WAITERS, ends .. ' ' .. count .. ' ' .. id)
    -- by more than comes, so that they never pile up
    limit_spared(2)
  else
    retention.put(id, blob, over.state, ends)
    if over.state == 'succeeded' then retention.trim(record.task(blob), count) end
  end
end

-- Keeps the record of a finished job for its retention; without one its id is remembered. `over`: see `life.finish`.
function retention.keep(id, blob, own, over, awaited)
  local age, count = wanted(own, over)
  if awaited then age = math.max(age, KEEP_FOR_WAITERS) end
  over.address, over.reason, over.result = over.address or '', over.reason or '', over.result or ''
  if age < REMEMBER_IDS then
    if over.address == '' then
      retention.remember({id})
    else
      retention.remember_runs({id}, {over.address}, retention.settlement(over.event, over.state))
    end
  end
  if age > 0 then write(id, blob, over, age, count, awaited) else retention.forget({id}) end
end

-- Drops records that are past their retention; how many.
function retention.prune()
  local pruned = 0
  limit_spared(BULK)
  for _, name in ipairs({key.failed, key.cancelled}) do
    local old = due(name)
    if #old > 0 then
      redis.call('ZREM', name, unpack(old))
      retention.forget(old)
    end
    pruned = pruned + #old
  end
  for _, task in ipairs(redis.call('SMEMBERS', key.tasks)) do
    pruned = pruned + retention.trim(task, -1)
    if not present(key.succeeded .. ':' .. task) then redis.call('SREM', key.tasks, task) end
  end
  return pruned
end
