-- Stores any jobs, one after the other.
-- ARGV: id, flag, ask the history of ids (1 or 0), key policy, the rest of the record; for each job
-- Returns for each job: what became of it, its state, the id that holds its key.
-- uses: place keyed known doorbell counts
-- keys: jobs ended running successors waiting

local function take_place_of(holder, blob, own)
  local c = counts_of(holder)
  redis.call('HSET', key.jobs, holder, blob)
  if redis.call('HEXISTS', key.waiting, holder) == 1 then return end
  unplace(holder)
  hold_key(holder, blob, own)
  place(holder, blob, due_of(blob, own), c.lapses)
  watch_expiry(holder, blob, own, c)
  announce(1)
end

local function follow(holder, id, blob)
  redis.call('HSET', key.jobs, id, blob)
  redis.call('HSET', key.successors, holder, id)
  redis.call('HSET', key.waiting, id, holder)
  return {'stored', 'waiting', false}
end

local function replace(holder, state, id, blob, own)
  local successor = redis.call('HGET', key.successors, holder)
  if state == 'running' and not successor then return follow(holder, id, blob) end
  holder = successor or holder -- what runs last must be the newest
  take_place_of(holder, blob, own)
  remember({id})
  return {'replaced', state_of(holder), holder}
end

-- The answer to what was sent before: a replacement has replaced what still has its payload.
local function repeated(holder, own)
  holder = holder and redis.call('HGET', key.successors, holder) or holder
  local blob = holder and redis.call('HGET', key.jobs, holder)
  if blob and own_options(blob).origin == own.origin then return {'replaced', state_of(holder), holder} end
  return {'known', false, false}
end

local function store(id, blob, own)
  redis.call('HSET', key.jobs, id, blob)
  if own.key then hold_key(id, blob, own) end
  local state = place(id, blob, due_of(blob, own), 0)
  watch_expiry(id, blob, own, parse_counts(nil))
  announce(1)
  return {'stored', state, false}
end

local function enqueue(id, flag, ask, policy, rest)
  if redis.call('HEXISTS', key.jobs, id) == 1 then return {'known', state_of(id), false} end
  local blob = flag .. stamp .. '\n' .. rest
  local own = own_options(blob)
  local holder = own.key and holder_of(own.key)
  if ask == '1' and remembered(id) then return repeated(holder, own) end
  if not holder then return store(id, blob, own) end
  local state = state_of(holder)
  local open = state == 'scheduled' or state == 'ready' or state == 'running'
  if open and (policy == 'replace' or policy == 'debounce') then return replace(holder, state, id, blob, own) end
  return {'duplicate', state, holder}
end

local answers = {}
for i = SETTINGS + 1, #ARGV, 5 do
  answers[#answers + 1] = enqueue(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
ring()
return answers
