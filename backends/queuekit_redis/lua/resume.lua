-- Ends a pause and wakes all sleepers.
-- uses: doorbell
-- keys: paused

redis.call('DEL', key.paused)
ring(redis.call('ZCARD', key.sleepers))
return 1
