-- The leases that a process holds.
-- ARGV: claimant
-- Returns id, address, number of the claim; for each.
-- uses: record
-- keys: running

local claimant, held = ARGV[SETTINGS + 1], {}
local running = redis.call('HGETALL', key.running)
for i = 1, #running, 2 do
  local run = record.run(running[i + 1])
  if run.claimant == claimant then
    held[#held + 1], held[#held + 2], held[#held + 3] = running[i], running[i + 1], run.claim
  end
end
return held
