-- Extends leases by their own length.
-- ARGV: number of tokens; their ids; their refs
-- Returns the indices of the tokens that are lost, and of those whose job shall be cancelled.
-- uses: record owner
-- keys: running leases cancels

local total = tonumber(ARGV[SETTINGS + 1])
local ids = arguments(SETTINGS + 2, SETTINGS + 1 + total)
local held = redis.call('HMGET', key.running, unpack(ids))
local asked = present(key.cancels) and redis.call('HMGET', key.cancels, unpack(ids)) or NONE
local lost, cancels, leases, owners = {}, {}, {}, {}

for i, id in ipairs(ids) do
  local ref = ARGV[SETTINGS + 1 + total + i]
  if held[i] ~= ref then
    lost[#lost + 1] = i - 1
  else
    local claim = parse_ref(ref)
    owners[claim.process] = true
    leases[#leases + 1], leases[#leases + 2] = now + claim.lease, id
    if asked[i] then cancels[#cancels + 1] = i - 1 end
  end
end
if #leases > 0 then
  pass_when_full('HDEL', key.cancels)
  redis.call('ZADD', key.leases, unpack(leases))
  for process in pairs(owners) do heard(process) end
end
return {lost, cancels}
