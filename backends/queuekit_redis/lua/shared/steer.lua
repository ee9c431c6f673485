-- uses: finish place
-- keys: waiting successors

-- Takes an unstarted job from where it stands.
local function take_out(id)
  unplace(id)
  local before = redis.call('HGET', key.waiting, id)
  if before then
    redis.call('HDEL', key.waiting, id)
    redis.call('HDEL', key.successors, before)
  end
end

local function cancel_unstarted(id)
  take_out(id)
  finish(id, redis.call('HGET', key.jobs, id), {state = 'cancelled', kind = 'cancel', attempt = counts_of(id).attempt})
end
