-- What one side of a cutover has of a job: see `queuekit.backend.sides`. Mirrors, what moves, and tombstones are stored as
-- generation, epoch and delivery, a line break, and a text.
-- uses: record line retention
-- keys: jobs running held moving tombs

local PUT = {held = key.held, moving = key.moving, done = key.tombs}

-- The key in which copies of a kind are stored as texts.
function sides.store_of(kind)
  return PUT[kind]
end

local function stamped(kind, generation, delivery)
  return table.concat({kind, text(generation), '0', text(delivery)}, ' ')
end

local function put(kind, id)
  local raw = redis.call('HGET', PUT[kind], id)
  if not raw then return nil end
  local stamp, rest = string.match(raw, '^([^\n]*)\n(.*)$')
  return kind .. ' ' .. stamp, rest
end

local function of_job(id, state)
  local c = record.counts(id)
  local run = state == 'running' and record.run(redis.call('HGET', key.running, id))
  return stamped(run and 'running' or 'live', c.generation, run and run.delivery or c.delivery)
end

local function of_record(id, state)
  local generation = record.counts(id).generation
  if state == 'succeeded' then return stamped('done', generation, 0) end
  return stamped('failed', generation, select(2, retention.settled(id)))
end

local ENDED = {succeeded = true, failed = true, cancelled = true}

-- What is there of a job: kind, generation, epoch and delivery; and its text, if it is one.
function sides.look(id)
  local state = redis.call('HEXISTS', key.jobs, id) == 1 and line.state_of(id)
  if state and not ENDED[state] then return of_job(id, state), '' end
  for _, kind in ipairs({'held', 'moving'}) do
    local stamp, rest = put(kind, id)
    if stamp then return stamp, rest end
  end
  if state then return of_record(id, state), '' end
  local stamp, rest = put('done', id)
  if stamp then return stamp, rest end
  if retention.remembers(id) then return stamped('done', FOR_EVER, 0), '' end
  return stamped('absent', 0, 0), ''
end
