-- A page of ids from one of the collections of a queue.
-- ARGV: its name, its command (HSCAN or ZSCAN), cursor, about how many
-- Returns the next cursor and the ids.
-- keys: jobs ready suspects solitary scheduled running waiting ended failed cancelled

local COLLECTIONS = {
  jobs = key.jobs, ready = key.ready, suspects = key.suspects, solitary = key.solitary, scheduled = key.scheduled,
  running = key.running, waiting = key.waiting, ended = key.ended, failed = key.failed, cancelled = key.cancelled,
}

local name, command = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2]
local page = redis.call(command, COLLECTIONS[name], ARGV[SETTINGS + 3], 'COUNT', ARGV[SETTINGS + 4])
local ids = {}
for i = 1, #page[2], 2 do ids[#ids + 1] = page[2][i] end
return {page[1], ids}
