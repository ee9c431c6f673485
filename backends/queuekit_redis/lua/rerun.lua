-- Puts failed and cancelled jobs in line again.
-- ARGV: ids
-- Returns the state that was found (false: no such job), whether it was done (1 or 0), and the id that holds its key; for
-- each.
-- uses: finish counts notes doorbell
-- keys: jobs ended failed cancelled progress

local function rerun(id, state)
  local blob, over, c = redis.call('HGET', key.jobs, id), redis.call('HGET', key.ended, id), counts_of(id)
  local own = own_options(blob)
  local holder = own.key and holder_of(own.key)
  if holder and holder ~= id then return {state, 0, holder} end
  local was, kind, ref = string.match(over, '^(%a+) %d+ %S+ (%a+) %d+\n([^\n]*)\n')
  c.attempt, c.lapses, c.crashes, c.generation, c.settled = 0, 0, 0, c.generation + 1, settlement(kind, was)
  if ref ~= '' then c.delivery = tonumber(parse_ref(ref).delivery) end
  redis.call('HDEL', key.ended, id)
  redis.call('ZREM', key[state], id)
  redis.call('HDEL', key.progress, id)
  set_counts(id, c)
  note_event(id, 'rerun', c.delivery)
  if own.key and own['until'] == 'finished' then hold_key(id, blob, own) end
  place(id, blob, 0, 0)
  announce(1)
  return {state, 1, false}
end

local changes = {}
for i = SETTINGS + 1, #ARGV do
  local state = state_of(ARGV[i])
  local over = state == 'failed' or state == 'cancelled'
  changes[#changes + 1] = over and rerun(ARGV[i], state) or {state, 0, false}
end
ring()
return changes
