-- The leases that a process holds.
-- ARGV: claimant
-- Returns id, address, number of the claim, generation; for each.
-- uses: record
-- keys: running

local claimant, held = ARGV[SETTINGS + 1], {}
local running = redis.call('HGETALL', key.running)
for i = 1, #running, 2 do
  local run = record.run(running[i + 1])
  if run.claimant == claimant then
    for _, value in ipairs({running[i], running[i + 1], run.claim, record.counts(running[i]).generation}) do
      held[#held + 1] = value
    end
  end
end
return held
