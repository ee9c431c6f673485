-- Where unfinished jobs stand.
-- uses: record counts
-- keys: jobs ready suspects solitary scheduled running expiring waiting ended seq

local function line_of(lapses)
  if lapses < SUSPECT_AFTER then return key.ready end
  return lapses < SOLITARY_AFTER and key.suspects or key.solitary
end

local function new_score(blob)
  return priority_of(blob) * RANK + redis.call('INCR', key.seq)
end

-- Puts a job in line, or aside until it is due; gives the state's name.
local function place(id, blob, due, lapses)
  if due > now then
    redis.call('ZADD', key.scheduled, due, id)
    return 'scheduled'
  end
  redis.call('ZADD', line_of(lapses), new_score(blob), id)
  return 'ready'
end

-- An expiry counts until the first attempt has begun.
local function watch_expiry(id, blob, own, c)
  if own.expires and c.attempt == 0 and c.generation == 0 then
    redis.call('ZADD', key.expiring, stored_at(blob) + own.expires, id)
  end
end

local function unplace(id)
  for _, name in ipairs({key.ready, key.suspects, key.solitary, key.scheduled, key.expiring}) do
    redis.call('ZREM', name, id)
  end
end

local function in_line(id)
  for _, name in ipairs({key.ready, key.suspects, key.solitary}) do
    if redis.call('ZSCORE', name, id) then return true end
  end
  return false
end

local function state_of(id)
  local over = redis.call('HGET', key.ended, id)
  if over then return string.match(over, '^%a+') end
  if redis.call('HEXISTS', key.running, id) == 1 then return 'running' end
  if redis.call('ZSCORE', key.scheduled, id) then return 'scheduled' end
  if redis.call('HEXISTS', key.waiting, id) == 1 then return 'waiting' end
  if in_line(id) then return 'ready' end
  return false
end
