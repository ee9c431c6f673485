-- Looks for work, and registers a sleeper if there is none.
-- ARGV: channel of its bell, for how long it is to be rung
-- Returns the microseconds after which to look again; 0: there may be work now; -1: none is known to come due.
-- keys: ready suspects scheduled sleepers paused

-- Whether the sleeper may take suspects is not known here.
local SUSPECTS_AGAIN = 50000

local idle = present(key.paused)
if not idle and present(key.ready) then return 0 end
local next = redis.call('ZRANGE', key.scheduled, 0, 0, 'WITHSCORES')
local left = not idle and next[2] and next[2] - now or -1
if not idle and next[2] and left <= 0 then return 0 end
pass_when_full('ZREM', key.sleepers)
redis.call('ZADD', key.sleepers, now + ARGV[SETTINGS + 2], ARGV[SETTINGS + 1])
if not idle and present(key.suspects) and (left < 0 or left > SUSPECTS_AGAIN) then return SUSPECTS_AGAIN end
return left
