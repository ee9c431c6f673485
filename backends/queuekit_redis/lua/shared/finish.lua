-- The end of a job, and of its record.
-- uses: record counts place known keyed doorbell
-- keys: jobs running leases expiring counts ended succeeded failed cancelled tasks errors history progress logs cancels
-- keys: waiters successors waiting spared

local function forget(ids)
  if #ids == 0 then return end
  redis.call('HDEL', key.jobs, unpack(ids))
  redis.call('HDEL', key.ended, unpack(ids))
  for _, name in ipairs({key.counts, key.errors, key.history, key.progress, key.logs}) do
    if present(name) then redis.call('HDEL', name, unpack(ids)) end
  end
end

-- Drops a task's succeeded records that are too old or too many, a bounded number at a time.
local function trim(task, count)
  local line = key.succeeded .. ':' .. task
  local old = redis.call('ZRANGEBYSCORE', line, '-inf', now, 'LIMIT', 0, BULK)
  if #old > 0 then
    redis.call('ZREM', line, unpack(old))
    forget(old)
  end
  local surplus = count < 0 and 0 or redis.call('ZCARD', line) - count
  if surplus <= 0 then return #old end
  local last = math.min(surplus, BULK) - 1
  local ids = redis.call('ZRANGE', line, 0, last)
  redis.call('ZREMRANGEBYRANK', line, 0, last)
  remember_settled(ids, nil, 'succeeded')
  forget(ids)
  return #old + #ids
end

-- Puts a succeeded record in its task's line, where its age and a count cut it.
local function line_up(id, task, ends, count)
  redis.call('ZADD', key.succeeded .. ':' .. task, ends, id)
  redis.call('SADD', key.tasks, task)
  trim(task, count)
end

-- Puts succeeded records under the count limit whose one-minute grace for waiters is over.
local function line_up_spared(bound)
  for _, spared in ipairs(redis.call('ZRANGEBYSCORE', key.spared, '-inf', now, 'LIMIT', 0, bound)) do
    redis.call('ZREM', key.spared, spared)
    local ends, count, id = string.match(spared, '^(%d+) (%d+) (.*)$')
    if redis.call('HEXISTS', key.ended, id) == 1 then
      line_up(id, task_of(redis.call('HGET', key.jobs, id)), ends, tonumber(count))
    end
  end
end

local function tell(id, waiters)
  redis.call('HDEL', key.waiters, id)
  for channel in string.gmatch(waiters, '%S+') do redis.call('PUBLISH', channel, id) end
end

-- Frees the key, and lets the job go that waited for this one.
local function succeed_by(id, own)
  free_key(id, own)
  local successor = redis.call('HGET', key.successors, id)
  if not successor then return end
  redis.call('HDEL', key.successors, id)
  redis.call('HDEL', key.waiting, successor)
  local blob = redis.call('HGET', key.jobs, successor)
  local options = own_options(blob)
  hold_key(successor, blob, options)
  place(successor, blob, due_of(blob, options), 0)
  watch_expiry(successor, blob, options, parse_counts(nil))
  announce(1)
end

local function retention(own, over)
  if own.age then return own.age, own.count or -1 end
  if over.age then return over.age, over.count end
  if over.state == 'succeeded' then return tonumber(ARGV[1]), tonumber(ARGV[2]) end
  return tonumber(ARGV[3]), -1
end

local function file_record(id, blob, over, age, count, awaited)
  redis.call('HSET', key.ended, id, table.concat({
    over.state, ' ', stamp, ' ', over.attempt, ' ', over.kind, ' ', #over.reason, '\n', over.ref, '\n', over.reason,
    over.result,
  }))
  if over.state ~= 'succeeded' then
    redis.call('ZADD', key[over.state], now + age, id)
  elseif awaited and count >= 0 then
    redis.call('ZADD', key.spared, now + KEEP_FOR_WAITERS, text(now + age) .. ' ' .. count .. ' ' .. id)
    -- by more than comes, so that they never pile up
    line_up_spared(2)
  else
    line_up(id, task_of(blob), now + age, count)
  end
end

-- Ends a job that has left its place. `over`: state, kind (of event), attempt, and where there is one: ref, reason,
-- result, age and count of the ack.
local function finish(id, blob, over)
  local own, waiters = own_options(blob), redis.call('HGET', key.waiters, id)
  local age, count = retention(own, over)
  if waiters then age = math.max(age, KEEP_FOR_WAITERS) end
  over.ref, over.reason, over.result = over.ref or '', over.reason or '', over.result or ''
  redis.call('HDEL', key.cancels, id)
  if age < REMEMBER_IDS then
    if over.ref == '' then remember({id}) else remember_settled({id}, {over.ref}, settlement(over.kind, over.state)) end
  end
  if age > 0 then file_record(id, blob, over, age, count, waiters) else forget({id}) end
  if waiters then tell(id, waiters) end
  if own.key then succeed_by(id, own) end
end
