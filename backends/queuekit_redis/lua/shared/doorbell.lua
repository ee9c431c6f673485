-- How those who sleep are woken, and those who wait are told.
-- keys: sleepers waiters

local work = 0

-- Notes new work; `ring` tells of it at the end of the script.
function doorbell.announce(jobs)
  work = work + jobs
end

-- Tells two of those that sleep on to look soon: one that was rung may have no power any more, or have been stopped.
local function ask_others()
  local asked = 0
  for _, channel in ipairs(redis.call('ZRANGEBYSCORE', key.sleepers, now, '+inf', 'LIMIT', 0, 10)) do
    if asked == 2 then return end
    if redis.call('PUBLISH', channel, 'look') > 0 then asked = asked + 1 end
  end
end

-- Rings as many sleepers as there is new work; those that are gone don't count.
function doorbell.ring()
  if work == 0 then return end
  while work > 0 do
    local popped = redis.call('ZPOPMIN', key.sleepers, math.min(work, BULK))
    if #popped == 0 then return end
    for i = 1, #popped, 2 do
      if tonumber(popped[i + 1]) > now and redis.call('PUBLISH', popped[i], 'work') > 0 then
        work = work - 1
      end
    end
  end
  ask_others()
end

-- Tells those who wait for a job's end.
function doorbell.tell(id, channels)
  redis.call('HDEL', key.waiters, id)
  for channel in string.gmatch(channels, '%S+') do redis.call('PUBLISH', channel, id) end
end
