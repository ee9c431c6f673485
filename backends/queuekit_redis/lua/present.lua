-- Registers a process.
-- ARGV: process, how it describes itself, for how long
-- keys: processes seen

local process = ARGV[SETTINGS + 1]
pass_when_full('HDEL', key.processes)
for _, gone in ipairs(due(key.seen)) do
  redis.call('ZREM', key.seen, gone)
  redis.call('HDEL', key.processes, gone)
end
redis.call('HSET', key.processes, process, stamp .. ' ' .. ARGV[SETTINGS + 2])
redis.call('ZADD', key.seen, now + ARGV[SETTINGS + 3], process)
return 1
