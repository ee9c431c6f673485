-- Settles any outcomes, one after the other.
-- ARGV: kind (ack or a ReturnKind), id, ref, delay, error, state, reason, result, age and count ('': not asked for); for each
-- Returns 1 (done, now or earlier) or 0 (lost) for each; of those whose death was their last: id, task, reason.
-- uses: fail counts place notes doorbell
-- keys: jobs running leases counts ended cancels

local FIELDS = 10

local function settled_before(id, ref, kind, state)
  local over, wanted = redis.call('HGET', key.ended, id), settlement(kind, state)
  if over then
    local was, how, by = string.match(over, '^(%a+) %d+ %S+ (%a+) %d+\n([^\n]*)\n')
    if by == ref and settlement(how, was) == wanted then return 1 end
  end
  local c = counts_of(id)
  if c.settled == wanted and c.delivery == tonumber(parse_ref(ref).delivery) then return 1 end
  local gone = redis.call('HEXISTS', key.jobs, id) == 0
  return gone and remembered_settled(id, ref, wanted) and 1 or 0
end

-- Puts a job back; it ends instead if that was requested, or if it died too often.
local function put_back(id, blob, claim, kind, ref, delay)
  local c, own, asked = counts_of(id), own_options(blob), redis.call('HEXISTS', key.cancels, id) == 1
  c.attempt = kind == 'retry' and claim.attempt or claim.attempt - 1
  c.delivery, c.settled = tonumber(claim.delivery), kind
  if kind == 'death' then c.crashes = c.crashes + 1 end
  if delay > 0 and not asked then c.due = now + delay end
  if kind ~= 'retry' then note_event(id, kind, c.delivery) end
  set_counts(id, c)
  if kind == 'death' and c.crashes >= (own.max_crashes or DEATHS_ALLOWED) then
    fail(id, blob, {kind = kind, attempt = c.attempt, ref = ref, reason = 'crashed'})
  elseif asked then
    finish(id, blob, {state = 'cancelled', kind = kind, attempt = c.attempt, ref = ref})
  else
    if kind == 'release' then
      redis.call('ZADD', line_of(c.lapses), claim.score, id)
    else
      place(id, blob, delay > 0 and c.due or 0, c.lapses)
    end
    watch_expiry(id, blob, own, c)
    announce(1)
  end
end

local function settle(kind, id, ref, delay, error, state, reason, result, age, count)
  if redis.call('HGET', key.running, id) ~= ref then return settled_before(id, ref, kind, state) end
  local blob, claim = redis.call('HGET', key.jobs, id), parse_ref(ref)
  redis.call('HDEL', key.running, id)
  redis.call('ZREM', key.leases, id)
  if not blob then return 0 end
  note_error(id, error)
  if kind == 'ack' then
    finish(id, blob, {
      state = state, kind = kind, attempt = claim.attempt, ref = ref, reason = reason, result = result,
      age = tonumber(age), count = tonumber(count),
    })
  else
    put_back(id, blob, claim, kind, ref, tonumber(delay))
  end
  return 1
end

local verdicts = {}
for i = SETTINGS + 1, #ARGV, FIELDS do
  verdicts[#verdicts + 1] = settle(unpack(ARGV, i, i + FIELDS - 1))
end
ring()
return {verdicts, ended}
