-- Ids that are gone: a set a minute, of which the last three are asked and the fourth is written over.
-- keys: known0 known1 known2 known3

local MINUTE, SETS = 60, 4
local REMEMBER_IDS = 120000000

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

local ACKED = 'a'

-- An ack of an id that an ack has ended is a repeated one.
local function remember_acked(ids)
  local marked = {}
  for i, id in ipairs(ids) do marked[i] = id .. ACKED end
  remember(marked)
end

local function is_remembered(member)
  local minute = math.floor(clock[1] / MINUTE)
  for age = 0, SETS - 2 do
    if redis.call('SISMEMBER', known_set(minute - age), member) == 1 then return true end
  end
  return false
end

local function remembered_acked(id)
  return is_remembered(id .. ACKED)
end

local function remembered(id)
  return is_remembered(id) or remembered_acked(id)
end
