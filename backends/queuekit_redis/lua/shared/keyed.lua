-- Unique keys. A holder is stored as its id, followed by the end of its protection if that is a time.
-- uses: record
-- keys: keyed protected

local ID = 16

local function holder_of(name)
  local held = redis.call('HGET', key.keyed, name)
  if not held then return nil end
  local ends = string.sub(held, ID + 1)
  if ends ~= '' and tonumber(ends) <= now then return nil end
  return string.sub(held, 1, ID)
end

local function hold_key(id, blob, own)
  if type(own['until']) ~= 'number' then
    redis.call('HSET', key.keyed, own.key, id)
    return
  end
  local ends = stored_at(blob) + own['until']
  redis.call('HSET', key.keyed, own.key, id .. text(ends))
  redis.call('ZADD', key.protected, ends, own.key)
end

-- Protection for a time outlives its job.
local function free_key(id, own)
  if redis.call('HGET', key.keyed, own.key) == id then redis.call('HDEL', key.keyed, own.key) end
end
