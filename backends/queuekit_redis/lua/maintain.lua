-- Moves time on, a bounded amount of work a call.
-- Returns how many were promoted, renewed, pruned; the changes of the rescued, and of the expired; how long it is until a
-- schedule is due, and until a lease runs out or a job expires.
-- uses: life line leases keys retention record schedules gates doorbell
-- keys: jobs running leases renewed cancels expiring tick solo solitary suspects

local function lapse(id)
  local address = redis.call('HGET', key.running, id)
  redis.call('HDEL', key.renewed, id)
  if address then return life.leave(id, address, 'lapse', {delay = 0, error = ''}) end
  redis.call('ZREM', key.leases, id)
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
  if not blob or redis.call('HEXISTS', key.running, id) == 1 then return nil end
  local state = line.state_of(id)
  line.take_out(id)
  return life.expire(id, blob, record.own(blob), record.counts(id), state)
end

-- The changes that a function makes of jobs whose time has come.
local function of_due(name, change)
  local changes = {}
  for _, id in ipairs(due(name)) do changes[#changes + 1] = change(id) end
  return changes
end

local function again_in()
  local first
  for _, name in ipairs({key.leases, key.expiring}) do
    local next = redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')[2]
    if next then first = math.min(first or math.huge, math.max(0, next - now)) end
  end
  return first or false
end

pass_when_full('HDEL', key.cancels)
local tick = redis.call('GET', key.tick)
redis.call('SET', key.tick, stamp)
local renewed = tick and leases.renew(now - tick) or 0
local rescued = of_due(key.leases, lapse)
hand_out_solitary()
local promoted = line.promote_due()
local expired = of_due(key.expiring, expire)
doorbell.announce(promoted)
local pruned = retention.prune()
keys.prune()
doorbell.ring()
return {promoted, renewed, pruned, rescued, expired, gates.ticks() and schedules.due_in(0), again_in()}
