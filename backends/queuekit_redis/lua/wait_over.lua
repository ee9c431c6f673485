-- Takes a sleeper off the list.
-- ARGV: channel of its bell
-- keys: sleepers

return redis.call('ZREM', key.sleepers, ARGV[SETTINGS + 1])
