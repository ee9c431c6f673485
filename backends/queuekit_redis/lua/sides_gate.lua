-- Returns the gate of a queue, false if there is none.
-- keys: gate

return redis.call('GET', key.gate)
