-- Moves time on, a bounded amount of work a call.
-- Returns how many were promoted, renewed, pruned; the ids of the rescued; of those that have failed: id, task, reason.
-- uses: life line leases keys retention record doorbell
-- keys: jobs running leases renewed cancels expiring tick solo solitary suspects

local function lapse(id)
  local address = redis.call('HGET', key.running, id)
  redis.call('HDEL', key.renewed, id)
  if not address then return redis.call('ZREM', key.leases, id) end
  life.leave(id, address, 'lapse', {delay = 0, error = ''})
end

local function hand_out_solitary()
  local out = redis.call('GET', key.solo)
  if out and (redis.call('HEXISTS', key.running, out) == 1 or redis.call('ZSCORE', key.suspects, out)) then return end
  local next = redis.call('ZPOPMIN', key.solitary, 1)
  if #next == 0 then return end
  redis.call('ZADD', key.suspects, next[2], next[1])
  redis.call('SET', key.solo, next[1])
  doorbell.announce(1)
end

local function expire(id)
  local blob = redis.call('HGET', key.jobs, id)
  redis.call('ZREM', key.expiring, id)
  if not blob or redis.call('HEXISTS', key.running, id) == 1 then return end
  line.take_out(id)
  life.finish(id, blob, record.own(blob), {
    state = 'failed', reason = 'expired', event = 'expire', attempt = record.counts(id).attempt,
  })
end

pass_when_full('HDEL', key.cancels)
local tick = redis.call('GET', key.tick)
redis.call('SET', key.tick, stamp)
local renewed = tick and leases.renew(now - tick) or 0
local rescued = due(key.leases)
for _, id in ipairs(rescued) do lapse(id) end
hand_out_solitary()
for _, id in ipairs(due(key.expiring)) do expire(id) end
local promoted = line.promote_due()
doorbell.announce(promoted)
local pruned = retention.prune()
keys.prune()
doorbell.ring()
return {promoted, renewed, pruned, rescued, life.failed}
