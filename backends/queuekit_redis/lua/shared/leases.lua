-- Leases that are given anew after an outage, once until their owner is heard again.
-- uses: record
-- keys: running leases renewed

-- A claimant is there: by a heartbeat, or by a new claim.
function leases.heard(claimant)
  if not present(key.renewed) then return end
  local renewed = redis.call('HGETALL', key.renewed)
  for i = 1, #renewed, 2 do
    if renewed[i + 1] == claimant then redis.call('HDEL', key.renewed, renewed[i]) end
  end
end

-- Longer leases, after a gap in which nobody could renew them, as `queuekit.backend.model.spared_until` says; how many.
function leases.renew(gap)
  local running, renewed = redis.call('HGETALL', key.running), 0
  for i = 1, #running, 2 do
    local id, run = running[i], record.run(running[i + 1])
    if gap > run.lease / 3 and redis.call('HSETNX', key.renewed, id, run.claimant) == 1 then
      redis.call('ZADD', key.leases, 'GT', now + math.min(run.lease, math.floor(run.lease / 2) + HEARD_WITHIN), id)
      renewed = renewed + 1
    end
  end
  return renewed
end
