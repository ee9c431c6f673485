-- Stores schedules, or other rules and jobs of those that are there; see `queuekit.backend.schedules.rescheduled`. Sleepers
-- are rung: somebody has to know when the next tick is due.
-- ARGV: name, rule, job, tick, its time ('' for none), whether it is paused (1 or 0), count, the last ticks; for each
-- uses: schedules doorbell
-- keys: fired

local FIELDS = 8

local function store(name, rule, job, tick, due_at, paused, count, ticks)
  local new, old = {rule = rule, job = job, tick = tick, due_at = due_at, paused = paused, count = count}, schedules.read(name)
  if not old then
    if ticks ~= '' then redis.call('HSET', key.fired, name, ticks) end
    return schedules.write(name, new)
  end
  local same = old.rule == rule
  if same then
    new.tick, new.due_at = old.tick, old.due_at
  elseif old.due_at ~= '' and tonumber(old.due_at) <= now then
    new.tick, new.due_at = string.gsub(old.tick, '!$', '') .. '!', old.due_at
  end
  new.paused, new.count = old.paused, same and old.count or '0'
  schedules.write(name, new)
end

for i = SETTINGS + 1, #ARGV, FIELDS do store(unpack(ARGV, i, i + FIELDS - 1)) end
doorbell.announce(1)
doorbell.ring()
