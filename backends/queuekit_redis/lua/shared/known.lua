-- Ids that are gone: a set a minute, of which the last three are asked and the fourth is written over.
-- keys: known0 known1 known2 known3 counts ended

local MINUTE, SETS = 60, 4

local function known_set(minute)
  return key['known' .. minute % SETS]
end

local function remember(ids)
  if #ids == 0 then return end
  local minute = math.floor(clock[1] / MINUTE)
  local set, mark = known_set(minute), text(minute)
  if redis.call('SISMEMBER', set, mark) == 0 then
    redis.call('UNLINK', set)
    redis.call('SADD', set, mark)
    redis.call('EXPIRE', set, MINUTE * SETS)
  end
  redis.call('SADD', set, unpack(ids))
end

local ACKED = {succeeded = 'S', failed = 'F', cancelled = 'C'}

-- How a run was settled: by which end, or which way back.
local function settlement(kind, state)
  return kind == 'ack' and state or kind
end

local function settled_run(id, ref, how)
  return id .. string.match(ref, '^%a:(%d+)') .. how
end

-- Remembers ids and how their last runs were settled; without refs their records are asked. Hardly any job has more than
-- one run; of those with one run the end alone says which it was.
local function remember_settled(ids, refs, how)
  local members, n = {}, 0
  local several = redis.call('EXISTS', key.counts) == 1 and redis.call('HMGET', key.counts, unpack(ids))
  for i, id in ipairs(ids) do
    if several and several[i] then
      local ref = refs and refs[i] or string.match(redis.call('HGET', key.ended, id), '\n([^\n]*)')
      members[n + 1], members[n + 2], n = id, settled_run(id, ref, how), n + 2
    else
      members[n + 1], n = id .. ACKED[how], n + 1
    end
  end
  remember(members)
end

local function any_remembered(...)
  local minute = math.floor(clock[1] / MINUTE)
  for age = 0, SETS - 2 do
    for _, found in ipairs(redis.call('SMISMEMBER', known_set(minute - age), ...)) do
      if found == 1 then return true end
    end
  end
  return false
end

local function remembered(id)
  return any_remembered(id, id .. ACKED.succeeded, id .. ACKED.failed, id .. ACKED.cancelled)
end

local function remembered_settled(id, ref, how)
  local run = settled_run(id, ref, how)
  return any_remembered(run, ACKED[how] and id .. ACKED[how] or run)
end
