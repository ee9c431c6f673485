-- Claims give nothing from now on.
-- keys: paused sleepers

pass_when_full('ZREM', key.sleepers)
return redis.call('SET', key.paused, stamp)
