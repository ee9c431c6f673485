-- Ends a pause and wakes all sleepers.
-- uses: doorbell
-- keys: paused

redis.call('DEL', key.paused)
announce(redis.call('ZCARD', key.sleepers))
ring()
return 1
