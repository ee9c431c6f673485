-- What becomes of a job: the one door out of running, the end, the way back.
-- uses: record line keys notes retention doorbell gates
-- keys: jobs running leases cancels waiters ended succeeded tasks gate

-- What the store has made of a job; of one that it has failed it tells the task and the reason, too.
function life.told(id, blob, found, became, generation, reason)
  local own = became == 'failed' and {task = record.task(blob), reason = reason}
  return record.change(id, found, became, generation, own or NONE)
end

-- Ends a job that is neither in line nor running any more. `over`: state, event and attempt; where there is one, address of
-- the run, reason, result, age and count of the ack.
function life.finish(id, blob, own, over)
  local channels = redis.call('HGET', key.waiters, id)
  redis.call('HDEL', key.cancels, id)
  if present(key.gate) then gates.bury(id, record.counts(id).generation) end
  retention.keep(id, blob, own, over, channels)
  if channels then doorbell.tell(id, channels) end
  if own.key then keys.follow(id, own) end
end

-- Fails a job that has not begun in time, and is out of line; the change.
function life.expire(id, blob, own, c, found)
  life.finish(id, blob, own, {state = 'failed', reason = 'expired', event = 'expire', attempt = c.attempt})
  return record.change(id, found, 'failed', c.generation, {task = record.task(blob), reason = 'expired'})
end

-- The counts of a job after a run without an ack.
local function counted(id, event, run)
  local c = record.counts(id)
  c.attempt = event == 'retry' and run.attempt or run.attempt - 1
  c.delivery, c.started, c.settled = run.delivery, run.started, event
  if event == 'death' then c.crashes = c.crashes + 1 end
  if event == 'lapse' then c.lapses = c.lapses + 1 end
  return c
end

-- What becomes of the job then: the state and the reason with which it ends; nothing: it goes back in line.
local function decided(event, c, own, cancelled)
  if event == 'death' and c.crashes >= (own.max_crashes or DEATHS_ALLOWED) then return 'failed', 'crashed' end
  if cancelled then return 'cancelled' end
  if event == 'lapse' and c.lapses >= (own.max_lapses or LAPSES_ALLOWED) then return 'failed', 'crashed' end
end

-- In line again: after a release or a lapse at the old place, else as late as was asked for.
local function put_back(id, blob, c, event, run, delay)
  if event == 'release' or event == 'lapse' then return line.make_ready(id, blob, c, run.score) end
  return line.schedule(id, blob, c, now + delay)
end

-- The one door out of running, for any event: ack, retry, snooze, release, death, lapse. `told` is what is known of the
-- run: its error; for an ack state, reason, result, age and count; for the others the delay. The change, unless the job
-- is where it was asked to be: then nothing.
function life.leave(id, address, event, told)
  local blob, run = redis.call('HGET', key.jobs, id), record.run(address)
  redis.call('HDEL', key.running, id)
  redis.call('ZREM', key.leases, id)
  if not blob then return record.unchanged(id, nil, {refused = 'lost'}) end
  local own = record.own(blob)
  notes.error(id, told.error)
  if event == 'ack' then
    local generation = told.reason == 'invalid_result' and record.counts(id).generation
    told.event, told.attempt, told.address = event, run.attempt, address
    life.finish(id, blob, own, told)
    return generation and life.told(id, blob, 'running', told.state, generation, told.reason)
  end
  local c, cancelled = counted(id, event, run), redis.call('HEXISTS', key.cancels, id) == 1
  local state, reason = decided(event, c, own, cancelled)
  if told.delay > 0 and not cancelled then c.due = now + told.delay end
  record.set_counts(id, c)
  if event ~= 'retry' then notes.event(id, event, c.delivery) end
  if state then
    life.finish(id, blob, own, {state = state, reason = reason, event = event, attempt = c.attempt, address = address})
  else
    local back = put_back(id, blob, c, event, run, told.delay)
    if event ~= 'lapse' then return nil end
    state = back
  end
  return life.told(id, blob, 'running', state, c.generation, reason)
end

-- In ARGV the ids of a group begin at first, the addresses at first + total, and the results at first + 2 * total.
local function end_one_by_one(first, total, group)
  local last = first + group.size - 1
  local blobs = redis.call('HMGET', key.jobs, unpack(ARGV, first, last))
  for i = first, last do
    local address, blob = ARGV[i + total], blobs[i - first + 1]
    life.finish(ARGV[i], blob, record.own(blob), {
      state = 'succeeded', event = 'ack', attempt = record.run(address).attempt, address = address,
      result = ARGV[i + 2 * total], age = group.age, count = group.count,
    })
  end
end

local function end_all(first, total, group)
  local last = first + group.size - 1
  if group.age < REMEMBER_IDS then
    retention.remember_runs(arguments(first, last), arguments(first + total, last + total), 'succeeded')
  end
  if group.age == 0 then return retention.forget(arguments(first, last)) end
  local records, scores, n = {}, {}, 0
  local ends = text(now + group.age)
  local head = 'succeeded ' .. stamp .. ' - ack 0 ' .. ends .. '\n'
  for i = first, last do
    local id = ARGV[i]
    records[n + 1], records[n + 2] = id, head .. ARGV[i + total] .. '\n' .. ARGV[i + 2 * total]
    scores[n + 1], scores[n + 2] = ends, id
    n = n + 2
  end
  redis.call('HSET', key.ended, unpack(records))
  redis.call('ZADD', key.succeeded .. ':' .. group.task, unpack(scores))
  redis.call('SADD', key.tasks, group.task)
  retention.trim(group.task, group.count)
end

-- Does not go through the one door (life.leave): plain successes, in bulk.
-- Acks at most BULK of them from ARGV[first]: the number of groups; of each group its task, retention and size; all ids;
-- all addresses; all results. False, with nothing changed, unless every token is its job's present one, and no cutover is
-- under way.
function life.succeed(first)
  local groups, total = tonumber(ARGV[first]), 0
  for g = 1, groups do total = total + ARGV[first + 4 * g] end
  if total == 0 then return true end
  if present(key.gate) then return false end -- each has to leave a tombstone
  local from = first + 4 * groups + 1
  local last = from + total - 1
  for i, address in ipairs(redis.call('HMGET', key.running, unpack(ARGV, from, last))) do
    if address ~= ARGV[last + i] then return false end
  end
  redis.call('HDEL', key.running, unpack(ARGV, from, last))
  redis.call('ZREM', key.leases, unpack(ARGV, from, last))
  if present(key.cancels) then redis.call('HDEL', key.cancels, unpack(ARGV, from, last)) end
  local end_group = present(key.waiters) and end_one_by_one or end_all
  for g = 1, groups do
    local at = first + 4 * g - 3
    local group = {
      task = ARGV[at], age = tonumber(ARGV[at + 1]), count = tonumber(ARGV[at + 2]), size = tonumber(ARGV[at + 3]),
    }
    end_group(from, total, group)
    from = from + group.size
  end
  return true
end
