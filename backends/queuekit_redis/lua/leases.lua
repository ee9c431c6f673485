-- What a process holds.
-- ARGV: process
-- Returns id, ref, number of the claim; for each.
-- uses: record
-- keys: running

local process, held = ARGV[SETTINGS + 1], {}
local running = redis.call('HGETALL', key.running)
for i = 1, #running, 2 do
  local claim = parse_ref(running[i + 1])
  if claim.process == process then
    held[#held + 1], held[#held + 2], held[#held + 3] = running[i], running[i + 1], claim.number
  end
end
return held
