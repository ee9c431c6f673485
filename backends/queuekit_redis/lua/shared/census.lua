-- How many copies of jobs there are of each kind: see `queuekit.backend.Kind`.
-- keys: ready suspects solitary scheduled waiting running failed cancelled held moving tombs

local function waiting_to_run()
  local count = redis.call('HLEN', key.waiting)
  for _, name in ipairs({key.ready, key.suspects, key.solitary, key.scheduled}) do
    count = count + redis.call('ZCARD', name)
  end
  return count
end

local function kept()
  local later = '(' .. stamp
  return redis.call('ZCOUNT', key.failed, later, '+inf') + redis.call('ZCOUNT', key.cancelled, later, '+inf')
end

census.of = {
  live = waiting_to_run,
  running = function() return redis.call('HLEN', key.running) end,
  failed = kept,
  held = function() return redis.call('HLEN', key.held) end,
  moving = function() return redis.call('HLEN', key.moving) end,
  done = function() return redis.call('HLEN', key.tombs) end,
}
