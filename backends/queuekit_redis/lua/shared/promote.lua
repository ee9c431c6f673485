-- uses: place
-- keys: jobs ready suspects solitary scheduled counts seq

-- Puts scheduled jobs in line, in the order in which they were due.
local function put_in_line(ids)
  redis.call('ZREM', key.scheduled, unpack(ids))
  local blobs = redis.call('HMGET', key.jobs, unpack(ids))
  local counts = present(key.counts) and redis.call('HMGET', key.counts, unpack(ids)) or {}
  local seq = redis.call('INCRBY', key.seq, #ids) - #ids
  local lines = {}
  for i, id in ipairs(ids) do
    if blobs[i] then
      local line = line_of(counts[i] and parse_counts(counts[i]).lapses or 0)
      local scores = lines[line] or {}
      lines[line] = scores
      scores[#scores + 1] = priority_of(blobs[i]) * RANK + seq + i
      scores[#scores + 1] = id
    end
  end
  for line, scores in pairs(lines) do redis.call('ZADD', line, unpack(scores)) end
end

local function promote_due()
  local due = redis.call('ZRANGEBYSCORE', key.scheduled, '-inf', now, 'LIMIT', 0, BULK)
  if #due > 0 then put_in_line(due) end
  return #due
end
