-- Moves time on, a bounded amount of work a call.
-- Returns how many were promoted, renewed, pruned; the ids of the rescued; of those that have failed: id, task, reason.
-- uses: fail promote notes counts owner
-- keys: jobs running leases counts cancels expiring tick solo solitary suspects failed cancelled tasks protected renewed
-- keys: keyed succeeded scheduled ready spared

-- Fresh leases, after a gap in which nobody could renew them; once until the owner is heard again.
local function renew(gap)
  local held, renewed = redis.call('HGETALL', key.running), 0
  for i = 1, #held, 2 do
    local id, claim = held[i], parse_ref(held[i + 1])
    if gap > claim.lease / 3 and redis.call('HSETNX', key.renewed, id, claim.process) == 1 then
      redis.call('ZADD', key.leases, now + claim.lease, id)
      renewed = renewed + 1
    end
  end
  return renewed
end

local function lapse(id)
  local ref, blob = redis.call('HGET', key.running, id), redis.call('HGET', key.jobs, id)
  redis.call('ZREM', key.leases, id)
  redis.call('HDEL', key.running, id)
  redis.call('HDEL', key.renewed, id)
  if not ref or not blob then return end
  local claim, c, own = parse_ref(ref), counts_of(id), own_options(blob)
  c.attempt, c.lapses, c.delivery, c.settled = claim.attempt - 1, c.lapses + 1, tonumber(claim.delivery), 'lapse'
  set_counts(id, c)
  note_event(id, 'lapse', c.delivery)
  local over = {kind = 'lapse', attempt = c.attempt, ref = ref}
  if redis.call('HEXISTS', key.cancels, id) == 1 then
    over.state = 'cancelled'
    finish(id, blob, over)
  elseif c.lapses >= (own.max_lapses or LAPSES_ALLOWED) then
    over.reason = 'crashed'
    fail(id, blob, over)
  else
    redis.call('ZADD', line_of(c.lapses), claim.score, id)
    watch_expiry(id, blob, own, c)
    announce(1)
  end
end

local function hand_out_solitary()
  local out = redis.call('GET', key.solo)
  if out and (redis.call('HEXISTS', key.running, out) == 1 or redis.call('ZSCORE', key.suspects, out)) then return end
  local next = redis.call('ZPOPMIN', key.solitary, 1)
  if #next == 0 then return end
  redis.call('ZADD', key.suspects, next[2], next[1])
  redis.call('SET', key.solo, next[1])
  announce(1)
end

local function expire(id)
  local blob = redis.call('HGET', key.jobs, id)
  redis.call('ZREM', key.expiring, id)
  if not blob or redis.call('HEXISTS', key.running, id) == 1 then return end
  unplace(id)
  fail(id, blob, {kind = 'expire', reason = 'expired', attempt = counts_of(id).attempt})
end

local function due(name)
  return redis.call('ZRANGEBYSCORE', name, '-inf', now, 'LIMIT', 0, BULK)
end

local function prune()
  local pruned = 0
  line_up_spared(BULK)
  for _, name in ipairs({key.failed, key.cancelled}) do
    local old = due(name)
    if #old > 0 then
      redis.call('ZREM', name, unpack(old))
      forget(old)
    end
    pruned = pruned + #old
  end
  for _, task in ipairs(redis.call('SMEMBERS', key.tasks)) do
    pruned = pruned + trim(task, -1)
    if not present(key.succeeded .. ':' .. task) then redis.call('SREM', key.tasks, task) end
  end
  for _, name in ipairs(due(key.protected)) do
    redis.call('ZREM', key.protected, name)
    if redis.call('HEXISTS', key.keyed, name) == 1 and not holder_of(name) then redis.call('HDEL', key.keyed, name) end
  end
  return pruned
end

pass_when_full('HDEL', key.cancels)
local tick = redis.call('GET', key.tick)
redis.call('SET', key.tick, stamp)
local renewed = tick and renew(now - tick) or 0
local rescued = due(key.leases)
for _, id in ipairs(rescued) do lapse(id) end
hand_out_solitary()
for _, id in ipairs(due(key.expiring)) do expire(id) end
local promoted = promote_due()
announce(promoted)
local pruned = prune()
ring()
return {promoted, renewed, pruned, rescued, ended}
