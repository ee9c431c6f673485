-- Counters of jobs that are not at their first claim.
-- keys: counts

local function parse_counts(raw)
  if not raw then
    return {attempt = 0, lapses = 0, crashes = 0, generation = 0, delivery = 0, due = 0, settled = ''}
  end
  local attempt, lapses, crashes, generation, delivery, due, settled =
    string.match(raw, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  return {
    attempt = tonumber(attempt), lapses = tonumber(lapses), crashes = tonumber(crashes),
    generation = tonumber(generation), delivery = tonumber(delivery), due = tonumber(due), settled = settled,
  }
end

local function counts_of(id)
  return parse_counts(redis.call('HGET', key.counts, id))
end

local function set_counts(id, c)
  redis.call('HSET', key.counts, id, table.concat({
    text(c.attempt), text(c.lapses), text(c.crashes), text(c.generation), text(c.delivery), text(c.due), c.settled,
  }, ' '))
end
