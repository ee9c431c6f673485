-- Stores any jobs, one after the other.
-- ARGV: id, flag, ask the history of ids (1 or 0), key policy, the rest of the record; for each job
-- Returns for each job: what became of it, its state, the id that holds its key.
-- uses: record line keys retention doorbell
-- keys: jobs

local function take_place_of(holder, blob, own)
  local c = record.counts(holder)
  redis.call('HSET', key.jobs, holder, blob)
  if keys.is_waiting(holder) then return end
  line.take_out(holder)
  keys.hold(holder, blob, own)
  line.schedule(holder, blob, own, c, record.first_due(blob, own))
end

local function replace(holder, state, id, blob, own)
  local successor = keys.successor_of(holder)
  if state == 'running' and not successor then
    redis.call('HSET', key.jobs, id, blob)
    keys.wait_behind(holder, id)
    return {'stored', 'waiting', false}
  end
  holder = successor or holder -- what runs last must be the newest
  take_place_of(holder, blob, own)
  retention.remember({id})
  return {'replaced', line.state_of(holder), holder}
end

-- The answer to what was sent before: a replacement has replaced what still has its payload.
local function repeated(holder, own)
  holder = holder and keys.successor_of(holder) or holder
  local blob = holder and redis.call('HGET', key.jobs, holder)
  if blob and record.own(blob).origin == own.origin then return {'replaced', line.state_of(holder), holder} end
  return {'known', false, false}
end

local function store(id, blob, own)
  redis.call('HSET', key.jobs, id, blob)
  if own.key then keys.hold(id, blob, own) end
  return {'stored', line.schedule(id, blob, own, record.parse_counts(), record.first_due(blob, own)), false}
end

local function enqueue(id, flag, ask, policy, rest)
  if redis.call('HEXISTS', key.jobs, id) == 1 then return {'known', line.state_of(id), false} end
  local blob = flag .. stamp .. '\n' .. rest
  local own = record.own(blob)
  local holder = own.key and keys.holder_of(own.key)
  if ask == '1' and retention.remembers(id) then return repeated(holder, own) end
  if not holder then return store(id, blob, own) end
  local state = line.state_of(holder)
  local open = state == 'scheduled' or state == 'ready' or state == 'running'
  if open and (policy == 'replace' or policy == 'debounce') then return replace(holder, state, id, blob, own) end
  return {'duplicate', state, holder}
end

local answers = {}
for i = SETTINGS + 1, #ARGV, 5 do
  answers[#answers + 1] = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
doorbell.ring()
return answers
