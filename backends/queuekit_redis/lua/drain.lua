-- Cancels jobs in line and scheduled ones.
-- ARGV: at most how many
-- Returns how many there were.
-- uses: steer
-- keys: ready suspects solitary scheduled

local left = tonumber(ARGV[SETTINGS + 1])
local drained = 0
for _, name in ipairs({key.ready, key.suspects, key.solitary, key.scheduled}) do
  local ids = left > drained and redis.call('ZRANGE', name, 0, left - drained - 1) or {}
  for _, id in ipairs(ids) do cancel_unstarted(id) end
  drained = drained + #ids
end
ring()
return drained
