-- Ids of some of the copies of a kind.
-- ARGV: kind, cursor ('': the first ones), at most how many
-- Returns the cursor of the next ones ('': there are none), and the ids.
-- uses: sides
-- keys: ready suspects solitary scheduled waiting failed cancelled

local kind, cursor, limit = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2], tonumber(ARGV[SETTINGS + 3])

-- Every second value.
local function ids_of(pairs)
  local ids = {}
  for i = 1, #pairs, 2 do ids[#ids + 1] = pairs[i] end
  return ids
end

local function scan(name)
  local reply = redis.call('HSCAN', name, cursor == '' and '0' or cursor, 'COUNT', limit)
  return {reply[1] == '0' and '' or reply[1], ids_of(reply[2])}
end

-- Some of what stands in sorted sets, one set after the other: which one, and how many of it came before.
local function walk(sets, least)
  local number, before = string.match(cursor, '^(%d+) (%d+)$')
  number, before = tonumber(number or 1), tonumber(before or 0)
  while sets[number] do
    local ids = redis.call('ZRANGEBYSCORE', sets[number], least, '+inf', 'LIMIT', before, limit)
    if #ids > 0 then return {number .. ' ' .. (before + #ids), ids} end
    number, before = number + 1, 0
  end
  return {'', {}}
end

if kind == 'live' then
  local page = walk({key.ready, key.suspects, key.solitary, key.scheduled}, '-inf')
  if page[1] == '' then page[2] = redis.call('HKEYS', key.waiting) end
  return page
end
if kind == 'failed' then return walk({key.failed, key.cancelled}, '(' .. stamp) end
return scan(sides.store_of(kind))
