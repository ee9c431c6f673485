-- What a script reads of a stored job: <flag><stored at>\n<priority>;<max attempts>;<task>\n[<own options>\n]<payload>.
-- The flag is p for a plain job, o for one with options of its own (a JSON object), e if no claim or ack need look at them.
-- Counters are stored of jobs that are not at their first claim.
-- keys: counts

local PLAIN = string.byte('p')

function record.own(blob)
  if string.byte(blob) == PLAIN then return NONE end
  return cjson.decode(string.match(blob, '^[^\n]*\n[^\n]*\n([^\n]*)\n'))
end

function record.priority(blob)
  return tonumber(string.match(blob, '^[^\n]*\n(-?%d+)'))
end

function record.task(blob)
  return string.match(blob, '^[^\n]*\n[^;]*;[^;]*;([^\n]*)\n')
end

function record.stored_at(blob)
  return tonumber(string.match(blob, '^.(%d+)'))
end

function record.first_due(blob, options)
  return options.due or options.delay and record.stored_at(blob) + options.delay or 0
end

-- A run by its address, whose flag is p if its ack may go in bulk:
-- <flag>:<delivery>:<attempt>:<started at>:<lease>:<score>:<claim>:<claimant>.
function record.run(address)
  local _, delivery, attempt, _, lease, score, claim, claimant =
    string.match(address, '^(%a):(%d+):(%d+):(%d+):(%d+):(-?%d+):(%d+):(.*)$')
  return {
    delivery = tonumber(delivery), attempt = tonumber(attempt), lease = tonumber(lease), score = score, claim = claim,
    claimant = claimant,
  }
end

function record.parse_counts(raw)
  if not raw then
    return {attempt = 0, lapses = 0, crashes = 0, generation = 0, delivery = 0, due = 0, settled = ''}
  end
  local attempt, lapses, crashes, generation, delivery, last_due, settled =
    string.match(raw, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  return {
    attempt = tonumber(attempt), lapses = tonumber(lapses), crashes = tonumber(crashes),
    generation = tonumber(generation), delivery = tonumber(delivery), due = tonumber(last_due), settled = settled,
  }
end

function record.counts(id)
  return record.parse_counts(redis.call('HGET', key.counts, id))
end

function record.set_counts(id, c)
  redis.call('HSET', key.counts, id, table.concat({
    text(c.attempt), text(c.lapses), text(c.crashes), text(c.generation), text(c.delivery), text(c.due), c.settled,
  }, ' '))
end
