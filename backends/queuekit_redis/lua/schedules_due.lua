-- Schedules that are due, the longest due first.
-- ARGV: how many at most
-- Returns the server's clock, how long it is until the next of the others, and the name, the record and no ticks of each.
-- uses: schedules gates
-- keys: schedules schedules_due

if not gates.ticks() then return {stamp, false, {}} end
local limit = tonumber(ARGV[SETTINGS + 1])
local names = redis.call('ZRANGEBYSCORE', key.schedules_due, '-inf', now, 'LIMIT', 0, limit)
local found = {}
for _, name in ipairs(names) do
  found[#found + 1] = {name, redis.call('HGET', key.schedules, name), ''}
end
return {stamp, schedules.due_in(#names), found}
