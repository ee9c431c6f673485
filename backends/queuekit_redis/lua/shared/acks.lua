-- Many plain jobs that succeeded, with a fixed number of commands.
-- uses: finish
-- keys: jobs running leases ended succeeded tasks cancels waiters

-- Ids, refs and results of a group are at first, first + total and first + 2 * total of ARGV.
local function end_one_by_one(first, total, group)
  local last = first + group.size - 1
  local blobs = redis.call('HMGET', key.jobs, unpack(ARGV, first, last))
  for i = first, last do
    local ref = ARGV[i + total]
    finish(ARGV[i], blobs[i - first + 1], {
      state = 'succeeded', kind = 'ack', attempt = parse_ref(ref).attempt, ref = ref, result = ARGV[i + 2 * total],
      age = group.age, count = group.count,
    })
  end
end

local function end_all(first, total, group)
  local last = first + group.size - 1
  if group.age < REMEMBER_IDS then
    remember_settled(arguments(first, last), arguments(first + total, last + total), 'succeeded')
  end
  if group.age == 0 then return forget(arguments(first, last)) end
  local records, line, n = {}, {}, 0
  local head, ends = 'succeeded ' .. stamp .. ' - ack 0\n', text(now + group.age)
  for i = first, last do
    local id = ARGV[i]
    records[n + 1], records[n + 2] = id, head .. ARGV[i + total] .. '\n' .. ARGV[i + 2 * total]
    line[n + 1], line[n + 2] = ends, id
    n = n + 2
  end
  redis.call('HSET', key.ended, unpack(records))
  redis.call('ZADD', key.succeeded .. ':' .. group.task, unpack(line))
  redis.call('SADD', key.tasks, group.task)
  trim(group.task, group.count)
end

-- Acks at most BULK of them from ARGV[first]: the number of groups; of each group its task, retention and size; all ids;
-- all refs; all results. False, with nothing changed, unless every token is its job's present one.
local function ack_plain(first)
  local groups, total = tonumber(ARGV[first]), 0
  for g = 1, groups do total = total + ARGV[first + 4 * g] end
  if total == 0 then return true end
  local from = first + 4 * groups + 1
  local last = from + total - 1
  for i, ref in ipairs(redis.call('HMGET', key.running, unpack(ARGV, from, last))) do
    if ref ~= ARGV[last + i] then return false end
  end
  redis.call('HDEL', key.running, unpack(ARGV, from, last))
  redis.call('ZREM', key.leases, unpack(ARGV, from, last))
  if present(key.cancels) then redis.call('HDEL', key.cancels, unpack(ARGV, from, last)) end
  local settle = present(key.waiters) and end_one_by_one or end_all
  for g = 1, groups do
    local at = first + 4 * g - 3
    local group = {
      task = ARGV[at], age = tonumber(ARGV[at + 1]), count = tonumber(ARGV[at + 2]), size = tonumber(ARGV[at + 3]),
    }
    settle(from, total, group)
    from = from + group.size
  end
  return true
end
