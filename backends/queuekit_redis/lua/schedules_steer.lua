-- Pauses, resumes or removes schedules. Sleepers are rung for those that are resumed.
-- ARGV: what (pause, resume or remove), names
-- Returns for each whether it is, or was, there (1 or 0).
-- uses: schedules doorbell
-- keys: schedules schedules_due fired

local what = ARGV[SETTINGS + 1]

local function steer(name)
  local one = schedules.read(name)
  if not one then return 0 end
  if what == 'remove' then
    redis.call('HDEL', key.schedules, name)
    redis.call('HDEL', key.fired, name)
    redis.call('ZREM', key.schedules_due, name)
  else
    one.paused = what == 'pause' and '1' or '0'
    schedules.write(name, one)
    if what == 'resume' then doorbell.announce(1) end
  end
  return 1
end

pass_when_full('HDEL', key.fired)
local found = {}
for i = SETTINGS + 2, #ARGV do found[#found + 1] = steer(ARGV[i]) end
doorbell.ring()
return found
