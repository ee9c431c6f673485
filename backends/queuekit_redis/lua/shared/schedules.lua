-- What is kept of a schedule; see the key `schedules`. All its values are text, '' for none.
-- keys: schedules schedules_due

function schedules.read(name)
  local raw = redis.call('HGET', key.schedules, name)
  if not raw then return nil end
  local tick, due_at, count, paused, rule, job = string.match(raw, '^([^\n]*)\n(%d*)\n(%d+)\n([01])\n([^\n]*)\n(.*)$')
  return {tick = tick, due_at = due_at, count = count, paused = paused, rule = rule, job = job}
end

function schedules.write(name, one)
  local lines = {one.tick, one.due_at, one.count, one.paused, one.rule, one.job}
  redis.call('HSET', key.schedules, name, table.concat(lines, '\n'))
  if one.paused == '1' or one.due_at == '' then
    redis.call('ZREM', key.schedules_due, name)
  else
    redis.call('ZADD', key.schedules_due, one.due_at, name)
  end
end

-- Microseconds until the first schedule is due, after so many that are due already; false: none is known to be.
function schedules.due_in(beyond)
  local next = redis.call('ZRANGE', key.schedules_due, beyond, beyond, 'WITHSCORES')
  return next[2] and math.max(0, next[2] - now) or false
end
