-- All processes that are present.
-- Returns what each registered: when it was seen, a space, how it describes itself.
-- keys: processes seen

local found = redis.call('ZRANGEBYSCORE', key.seen, now, '+inf')
if #found == 0 then return {} end
return redis.call('HMGET', key.processes, unpack(found))
