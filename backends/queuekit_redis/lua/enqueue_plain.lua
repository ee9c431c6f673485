-- Stores fresh jobs that are ready at once and have neither key nor expiry: one HSET and one ZADD for all.
-- ARGV: epoch and deadline (see `gates.guard`); flag of all; then for each job: id, priority, the rest of the record
-- Returns 1, or 0 with nothing changed if one of the ids is known, or the gate refuses them.
-- uses: doorbell gates
-- keys: jobs ready seq

local first, total = SETTINGS + 4, (#ARGV - SETTINGS - 3) / 3
local head = ARGV[SETTINGS + 3] .. stamp .. '\n'

for i = first, #ARGV, 3 * BULK do
  local ids = {}
  for j = i, math.min(i + 3 * BULK, #ARGV + 1) - 1, 3 do ids[#ids + 1] = ARGV[j] end
  for _, known in ipairs(redis.call('HMGET', key.jobs, unpack(ids))) do
    if known then return 0 end
  end
end

if gates.refusal(gates.guard(ARGV[SETTINGS + 1], ARGV[SETTINGS + 2]), false) then return 0 end

local seq = redis.call('INCRBY', key.seq, total) - total
for i = first, #ARGV, 3 * BULK do
  local records, scores, n = {}, {}, 0
  for j = i, math.min(i + 3 * BULK, #ARGV + 1) - 1, 3 do
    seq = seq + 1
    records[n + 1], records[n + 2] = ARGV[j], head .. ARGV[j + 2]
    scores[n + 1], scores[n + 2] = ARGV[j + 1] * RANK + seq, ARGV[j]
    n = n + 2
  end
  redis.call('HSET', key.jobs, unpack(records))
  redis.call('ZADD', key.ready, unpack(scores))
end
doorbell.announce(total)
doorbell.ring()
return 1
