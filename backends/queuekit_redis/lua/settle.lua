-- Settles any outcomes, one after the other.
-- ARGV: event (ack or a ReturnKind), id, address, delay, error, state, reason, result, age and count ('': not asked for);
-- for each
-- Returns the places and changes of those that are not where they were asked to be.
-- uses: life record line retention doorbell
-- keys: jobs running

local FIELDS = 10

-- The answer to an outcome whose run is over: the same again if it has settled that run itself.
local function repeated(id, address, event, state)
  local how, delivery = retention.settlement(event, state), record.run(address).delivery
  local before, of = retention.settled(id)
  local blob = redis.call('HGET', key.jobs, id)
  if before == how and of == delivery then
    local over = retention.ending(id)
    if not over or (event == 'ack' and over.reason ~= 'invalid_result') then return nil end
    return life.told(id, blob, 'running', over.state, record.counts(id).generation, over.reason)
  end
  if not blob and retention.remembers_run(id, delivery, how) then return nil end
  return record.unchanged(id, line.state_of(id), {refused = 'lost'})
end

local function settle(event, id, address, delay, error, state, reason, result, age, count)
  if redis.call('HGET', key.running, id) ~= address then return repeated(id, address, event, state) end
  return life.leave(id, address, event, {
    delay = tonumber(delay), error = error, state = state, reason = reason, result = result, age = tonumber(age),
    count = tonumber(count),
  })
end

local odd = {}
for i = SETTINGS + 1, #ARGV, FIELDS do
  local change = settle(unpack(ARGV, i, i + FIELDS - 1))
  if change then odd[#odd + 1], odd[#odd + 2] = (i - SETTINGS - 1) / FIELDS, change end
end
doorbell.ring()
return odd
