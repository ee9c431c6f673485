-- Settles any outcomes, one after the other.
-- ARGV: event (ack or a ReturnKind), id, address, delay, error, state, reason, result, age and count ('': not asked for);
-- for each
-- Returns 1 (done, now or earlier) or 0 (lost) for each; of those whose death was their last: id, task, reason.
-- uses: life record retention doorbell
-- keys: jobs running

local FIELDS = 10

local function settled_before(id, address, event, state)
  local how = retention.settlement(event, state)
  local was, by, of = retention.ending(id)
  if was and of == address and retention.settlement(by, was) == how then return 1 end
  local c = record.counts(id)
  if c.settled == how and c.delivery == record.run(address).delivery then return 1 end
  local gone = redis.call('HEXISTS', key.jobs, id) == 0
  return gone and retention.remembers_run(id, address, how) and 1 or 0
end

local function settle(event, id, address, delay, error, state, reason, result, age, count)
  if redis.call('HGET', key.running, id) ~= address then return settled_before(id, address, event, state) end
  return life.leave(id, address, event, {
    delay = tonumber(delay), error = error, state = state, reason = reason, result = result, age = tonumber(age),
    count = tonumber(count),
  }) and 1 or 0
end

local verdicts = {}
for i = SETTINGS + 1, #ARGV, FIELDS do
  verdicts[#verdicts + 1] = settle(unpack(ARGV, i, i + FIELDS - 1))
end
doorbell.ring()
return {verdicts, life.failed}
