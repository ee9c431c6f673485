-- Whether claims give nothing; all sleepers are woken when they give jobs again.
-- ARGV: 1 or 0
-- uses: doorbell
-- keys: paused sleepers

pass_when_full('ZREM', key.sleepers)
if ARGV[SETTINGS + 1] == '1' then return redis.call('SET', key.paused, stamp) end
redis.call('DEL', key.paused)
doorbell.announce(redis.call('ZCARD', key.sleepers))
doorbell.ring()
return 1
