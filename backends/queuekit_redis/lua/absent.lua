-- Takes a process off the register.
-- ARGV: process
-- keys: processes seen

redis.call('ZREM', key.seen, ARGV[SETTINGS + 1])
return redis.call('HDEL', key.processes, ARGV[SETTINGS + 1])
