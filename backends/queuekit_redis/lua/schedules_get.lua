-- Records of schedules.
-- ARGV: names; none: all
-- Returns the name, the record and the last ticks of each.
-- keys: schedules fired

local names = arguments(SETTINGS + 1, #ARGV)
if #names == 0 then names = redis.call('HKEYS', key.schedules) end
local found = {}
for _, name in ipairs(names) do
  found[#found + 1] = {name, redis.call('HGET', key.schedules, name), redis.call('HGET', key.fired, name)}
end
return found
