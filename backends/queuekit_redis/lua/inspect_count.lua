-- How many jobs a queue holds.
-- Returns whether it is paused (1 or 0), then ready, scheduled, running, waiting, ended, failed, cancelled.
-- keys: ready suspects solitary scheduled running waiting ended failed cancelled paused

local ready = 0
for _, name in ipairs({key.ready, key.suspects, key.solitary}) do ready = ready + redis.call('ZCARD', name) end
return {
  redis.call('EXISTS', key.paused), ready, redis.call('ZCARD', key.scheduled), redis.call('HLEN', key.running),
  redis.call('HLEN', key.waiting), redis.call('HLEN', key.ended), redis.call('ZCARD', key.failed),
  redis.call('ZCARD', key.cancelled),
}
