-- Owners that were not heard of since an outage renewed their leases.
-- keys: renewed

local function heard(process)
  if not present(key.renewed) then return end
  local renewed = redis.call('HGETALL', key.renewed)
  for i = 1, #renewed, 2 do
    if renewed[i + 1] == process then redis.call('HDEL', key.renewed, renewed[i]) end
  end
end
