-- Which jobs have finished; registers a waiter for the others.
-- ARGV: channel of the waiter's bell ('': don't register), ids
-- Returns 1 (finished), 0 (not yet) or -1 (unknown) for each id.
-- keys: jobs ended waiters

local channel, found, open = ARGV[SETTINGS + 1], {}, {}
for i = SETTINGS + 2, #ARGV do
  local id = ARGV[i]
  if redis.call('HEXISTS', key.ended, id) == 1 then
    found[#found + 1] = 1
  elseif redis.call('HEXISTS', key.jobs, id) == 1 then
    found[#found + 1] = 0
    open[#open + 1] = id
  else
    found[#found + 1] = -1
  end
end
if channel == '' then return found end
if #open > 0 then pass_when_full('HDEL', key.waiters) end
for _, id in ipairs(open) do
  local others = redis.call('HGET', key.waiters, id)
  if not others then
    redis.call('HSET', key.waiters, id, channel)
  elseif not string.find(others, channel, 1, true) then
    redis.call('HSET', key.waiters, id, others .. ' ' .. channel)
  end
end
return found
