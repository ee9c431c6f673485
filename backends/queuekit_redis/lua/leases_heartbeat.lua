-- Extends leases by their own length.
-- ARGV: number of tokens; their ids; their addresses
-- Returns the indices of the tokens that are lost, and of those whose job shall be cancelled.
-- uses: record leases
-- keys: running leases cancels

local total = tonumber(ARGV[SETTINGS + 1])
local ids = arguments(SETTINGS + 2, SETTINGS + 1 + total)
local held = redis.call('HMGET', key.running, unpack(ids))
local asked = present(key.cancels) and redis.call('HMGET', key.cancels, unpack(ids)) or NONE
local lost, cancels, ends, claimants = {}, {}, {}, {}

for i, id in ipairs(ids) do
  local address = ARGV[SETTINGS + 1 + total + i]
  if held[i] ~= address then
    lost[#lost + 1] = i - 1
  else
    local run = record.run(address)
    claimants[run.claimant] = true
    ends[#ends + 1], ends[#ends + 2] = now + run.lease, id
    if asked[i] then cancels[#cancels + 1] = i - 1 end
  end
end
if #ends > 0 then
  pass_when_full('HDEL', key.cancels)
  redis.call('ZADD', key.leases, unpack(ends))
  for claimant in pairs(claimants) do leases.heard(claimant) end
end
return {lost, cancels}
