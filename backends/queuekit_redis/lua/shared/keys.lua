-- Unique keys. A holder is stored as its id, followed by the end of its protection if that is a time. A successor waits for
-- the end of the running holder of its key.
-- uses: record line
-- keys: jobs keyed protected successors waiting

local ID = 16

function keys.holder_of(name)
  local held = redis.call('HGET', key.keyed, name)
  if not held then return nil end
  local ends = string.sub(held, ID + 1)
  if ends ~= '' and tonumber(ends) <= now then return nil end
  return string.sub(held, 1, ID)
end

function keys.hold(id, blob, own)
  if type(own['until']) ~= 'number' then
    redis.call('HSET', key.keyed, own.key, id)
    return
  end
  local ends = record.enqueued_at(blob) + own['until']
  redis.call('HSET', key.keyed, own.key, id .. text(ends))
  redis.call('ZADD', key.protected, ends, own.key)
end

-- Protection for a time outlives its job.
function keys.free(id, own)
  if redis.call('HGET', key.keyed, own.key) == id then redis.call('HDEL', key.keyed, own.key) end
end

-- Frees keys whose protection is over.
function keys.prune()
  for _, name in ipairs(due(key.protected)) do
    redis.call('ZREM', key.protected, name)
    if redis.call('HEXISTS', key.keyed, name) == 1 and not keys.holder_of(name) then redis.call('HDEL', key.keyed, name) end
  end
end

function keys.successor_of(holder)
  return redis.call('HGET', key.successors, holder)
end

function keys.wait_behind(holder, id)
  redis.call('HSET', key.successors, holder, id)
  redis.call('HSET', key.waiting, id, holder)
end

function keys.is_waiting(id)
  return redis.call('HEXISTS', key.waiting, id) == 1
end

function keys.wait_no_more(id)
  local holder = redis.call('HGET', key.waiting, id)
  if not holder then return end
  redis.call('HDEL', key.waiting, id)
  redis.call('HDEL', key.successors, holder)
end

-- Frees the key of a job that is over; its successor takes it, and comes into line.
function keys.follow(id, own)
  keys.free(id, own)
  local successor = keys.successor_of(id)
  if not successor then return end
  keys.wait_no_more(successor)
  local blob = redis.call('HGET', key.jobs, successor)
  keys.hold(successor, blob, record.own(blob))
  local at = record.times(blob)
  line.schedule(successor, blob, record.counts(successor), at)
end
