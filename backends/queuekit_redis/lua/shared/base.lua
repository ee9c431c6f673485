-- What every script begins with: the server's clock in microseconds (now, and as text: stamp), and small helpers.
-- ARGV: how long succeeded jobs are kept, at most how many of a task (-1: any), how long failed ones are kept, prefix of bells

local SETTINGS = 4

local BULK = 1000

local RANK = 35184372088832

local NONE = {}

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function text(number)
  return string.format('%.0f', number)
end

local stamp = text(now)

local function hexadecimal(id)
  return (string.gsub(id, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

-- The values first..last of ARGV, which unpack takes at once only up to a limit.
local function arguments(first, last)
  local values = {}
  for i = first, last do values[#values + 1] = ARGV[i] end
  return values
end

-- A full server refuses a script whose first write needs memory, but not one that begins with a removal.
local function pass_when_full(removal, name)
  redis.call(removal, name, '')
end

local function present(name)
  return redis.call('EXISTS', name) == 1
end

-- Members of a sorted set of times that have come, a bounded number.
local function due(name)
  return redis.call('ZRANGEBYSCORE', name, '-inf', now, 'LIMIT', 0, BULK)
end
