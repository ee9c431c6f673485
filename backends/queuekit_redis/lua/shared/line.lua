-- The order in line: ready jobs by priority, then by the order of becoming ready; scheduled ones by their due time.
-- uses: record doorbell
-- keys: jobs ready suspects solitary scheduled running expiring waiting ended counts seq

local function line_of(lapses)
  if lapses < SUSPECT_AFTER then return key.ready end
  return lapses < SOLITARY_AFTER and key.suspects or key.solitary
end

-- A job is ready or scheduled: its expiry, which counts until the first attempt has begun, is watched, and sleepers rung.
local function entered(id, blob, c)
  local _, expires = record.times(blob)
  if expires > 0 and c.attempt == 0 then redis.call('ZADD', key.expiring, expires, id) end
  doorbell.announce(1)
end

-- Puts a job at the end of its line, or at its old place by the score of that.
function line.make_ready(id, blob, c, score)
  score = score or record.priority(blob) * RANK + redis.call('INCR', key.seq)
  redis.call('ZADD', line_of(c.lapses), score, id)
  entered(id, blob, c)
  return 'ready'
end

-- Puts a job aside until it is due.
function line.put_aside(id, blob, c, at)
  redis.call('ZADD', key.scheduled, at, id)
  entered(id, blob, c)
  return 'scheduled'
end

-- Puts a job aside until it is due, or at the end of its line if it is; its state.
function line.schedule(id, blob, c, at)
  if at <= now then return line.make_ready(id, blob, c) end
  return line.put_aside(id, blob, c, at)
end

-- Makes scheduled jobs ready, in the order in which they were due.
function line.promote(ids)
  redis.call('ZREM', key.scheduled, unpack(ids))
  local blobs = redis.call('HMGET', key.jobs, unpack(ids))
  local counts = present(key.counts) and redis.call('HMGET', key.counts, unpack(ids)) or NONE
  local seq = redis.call('INCRBY', key.seq, #ids) - #ids
  local lines = {}
  for i, id in ipairs(ids) do
    if blobs[i] then
      local name = line_of(counts[i] and record.parse_counts(counts[i]).lapses or 0)
      local scores = lines[name] or {}
      lines[name] = scores
      scores[#scores + 1] = record.priority(blobs[i]) * RANK + seq + i
      scores[#scores + 1] = id
    end
  end
  for name, scores in pairs(lines) do redis.call('ZADD', name, unpack(scores)) end
end

-- How many have come due.
function line.promote_due()
  local ids = due(key.scheduled)
  if #ids > 0 then line.promote(ids) end
  return #ids
end

function line.take_out(id)
  for _, name in ipairs({key.ready, key.suspects, key.solitary, key.scheduled, key.expiring}) do
    redis.call('ZREM', name, id)
  end
end

local function is_ready(id)
  for _, name in ipairs({key.ready, key.suspects, key.solitary}) do
    if redis.call('ZSCORE', name, id) then return true end
  end
  return false
end

-- The state of a job, by where it stands; false: it is not known.
function line.state_of(id)
  local over = redis.call('HGET', key.ended, id)
  if over then return string.match(over, '^%a+') end
  if redis.call('HEXISTS', key.running, id) == 1 then return 'running' end
  if redis.call('ZSCORE', key.scheduled, id) then return 'scheduled' end
  if redis.call('HEXISTS', key.waiting, id) == 1 then return 'waiting' end
  return is_ready(id) and 'ready'
end
