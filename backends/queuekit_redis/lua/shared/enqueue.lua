-- What becomes of a job that is enqueued.
-- uses: record line keys retention gates
-- keys: jobs gate

-- id, flag, ask the history of ids (1 or 0), key policy, due ('': by the delay), delay, expires ('': never), the rest of
-- the record
enqueue.FIELDS = 8

local function blob_of(job, enqueued_at, origin)
  return record.first_line(job.flag, enqueued_at, job.at, job.expires, origin) .. job.rest
end

-- Gives the holder of a key the payload, options and times of a newer job; the state that it has then.
local function take_place_of(holder, c, job)
  local enqueued_at = record.enqueued_at(redis.call('HGET', key.jobs, holder))
  local blob = blob_of(job, enqueued_at, hexadecimal(job.id))
  redis.call('HSET', key.jobs, holder, blob)
  if c.due > 0 then
    c.due = 0
    record.set_counts(holder, c)
  end
  if keys.is_waiting(holder) then return 'waiting' end
  line.take_out(holder)
  keys.hold(holder, blob, job.own)
  return line.schedule(holder, blob, c, job.at)
end

local function replace(holder, state, job)
  local successor = keys.successor_of(holder)
  if state == 'running' and not successor then
    redis.call('HSET', key.jobs, job.id, job.blob)
    keys.wait_behind(holder, job.id)
    return record.change(job.id, nil, 'waiting', 0, NONE)
  end
  if successor then holder, state = successor, 'waiting' end -- what runs last must be the newest
  local c = record.counts(holder)
  local became = take_place_of(holder, c, job)
  retention.remember({job.id})
  return record.change(holder, state, became, c.generation, {holder = holder})
end

-- The answer to what was sent before: a replacement has replaced what still has its payload.
local function repeated(holder, job)
  holder = holder and keys.successor_of(holder) or holder
  local blob = holder and redis.call('HGET', key.jobs, holder)
  if blob and record.origin(blob) == hexadecimal(job.id) then
    return record.unchanged(holder, line.state_of(holder), {holder = holder})
  end
  return record.unchanged(job.id, nil, {refused = 'known'})
end

local function put(job)
  redis.call('HSET', key.jobs, job.id, job.blob)
  if job.own.key then keys.hold(job.id, job.blob, job.own) end
  local state = line.schedule(job.id, job.blob, record.parse_counts(), job.at)
  if state == (job.delay > 0 and 'scheduled' or 'ready') then return nil end
  return record.change(job.id, nil, state, 0, NONE)
end

-- What all that the script stores depends on (see `gates.guard`): ticks, which the store itself stores, on nothing.
enqueue.guard = {epoch = '', told = true}

-- Why the gate of a queue in a cutover refuses a job, if it does: what there is a copy of is known.
local function refused_at_gate(id, keyed)
  if gates.knows(id) then return record.unchanged(id, nil, {refused = 'known'}) end
  local why, home = gates.refusal(enqueue.guard, keyed)
  if why then return record.unchanged(id, nil, {refused = why, reason = home}) end
end

-- Stores a job; what became of it, or nothing if it was just stored, to be scheduled if it has a delay, else ready.
function enqueue.store(job, ask, policy)
  local id = job.id
  if redis.call('HEXISTS', key.jobs, id) == 1 then
    return record.unchanged(id, line.state_of(id), {refused = 'known'})
  end
  job.blob = blob_of(job, now)
  job.own = record.own(job.blob)
  local holder = job.own.key and keys.holder_of(job.own.key)
  if ask == '1' and retention.remembers(id) then return repeated(holder, job) end
  local gated = enqueue.guard.deadline or present(key.gate)
  local refused = gated and refused_at_gate(id, job.own.key)
  if refused then return refused end
  if not holder then return put(job) end
  local state = line.state_of(holder)
  local open = state == 'scheduled' or state == 'ready' or state == 'running'
  if open and (policy == 'replace' or policy == 'debounce') then return replace(holder, state, job) end
  return record.change(id, nil, nil, 0, {refused = 'key held', holder = holder})
end

-- A job by its fields, and how it is to be stored: the arguments of `enqueue.store`.
function enqueue.read(id, flag, ask, policy, at, delay, expires, rest)
  local job = {id = id, flag = flag, delay = tonumber(delay), expires = 0, rest = rest}
  job.at = tonumber(at) or now + job.delay
  if job.at <= now then job.at = 0 end
  if expires ~= '' then job.expires = now + expires end
  return job, ask, policy
end
