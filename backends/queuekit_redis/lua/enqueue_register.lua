-- Puts queues on the list of all queues.
-- ARGV: their names
-- keys: queues

pass_when_full('SREM', key.queues)
return redis.call('SADD', key.queues, unpack(ARGV, SETTINGS + 1))
