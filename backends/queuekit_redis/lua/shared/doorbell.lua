-- How those who sleep are woken, and those who wait are told.
-- keys: sleepers waiters

local work = 0

-- Notes new work; `ring` tells of it at the end of the script.
function doorbell.announce(jobs)
  work = work + jobs
end

-- Rings as many sleepers as there is new work; those that are gone don't count.
function doorbell.ring()
  while work > 0 do
    local popped = redis.call('ZPOPMIN', key.sleepers, math.min(work, BULK))
    if #popped == 0 then return end
    for i = 1, #popped, 2 do
      if tonumber(popped[i + 1]) > now and redis.call('PUBLISH', popped[i], 'work') > 0 then
        work = work - 1
      end
    end
  end
end

-- Tells those who wait for a job's end.
function doorbell.tell(id, channels)
  redis.call('HDEL', key.waiters, id)
  for channel in string.gmatch(channels, '%S+') do redis.call('PUBLISH', channel, id) end
end
