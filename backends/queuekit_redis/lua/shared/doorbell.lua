-- keys: sleepers

local work = 0

-- Notes new work; `ring` tells of it at the end of the script.
local function announce(jobs)
  work = work + jobs
end

-- Rings as many sleepers as there is new work; those that are gone don't count.
local function ring()
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
