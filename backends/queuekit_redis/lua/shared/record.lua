-- What a script reads of a stored job:
-- <flag><enqueued at>[ <due> <expires at> <origin>]\n<priority>;<max attempts>;<task>\n[<own options>\n]<payload>.
-- The flag is p for a plain job, o for one with options of its own (a JSON object), e if no claim or ack need look at them.
-- In the first line 0 stands for no time, - for no origin. Counters are stored of jobs that are not at their first claim.
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

function record.enqueued_at(blob)
  return tonumber(string.match(blob, '^.(%d+)'))
end

-- When it is due at first, and when it expires; 0: at no time.
function record.times(blob)
  local at, expires = string.match(blob, '^.%d+ (%d+) (%d+)')
  return tonumber(at or 0), tonumber(expires or 0)
end

-- The id with which its payload was enqueued, if it has replaced another one; as hexadecimal text.
function record.origin(blob)
  return string.match(blob, '^.%d+ %d+ %d+ (%x+)')
end

function record.first_line(flag, enqueued_at, at, expires, origin)
  local line = flag .. text(enqueued_at)
  if at == 0 and expires == 0 and not origin then return line .. '\n' end
  return table.concat({line, text(at), text(expires), origin or '-'}, ' ') .. '\n'
end

-- The same job without times; it has begun a new life.
function record.without_times(blob)
  return (string.gsub(blob, '^(.%d+) %d+ %d+', '%1 0 0'))
end

-- A run by its address, whose flag is p if its ack may go in bulk:
-- <flag>:<delivery>:<attempt>:<started at>:<lease>:<score>:<claim>:<claimant>.
function record.run(address)
  local _, delivery, attempt, started, lease, score, claim, claimant =
    string.match(address, '^(%a):(%d+):(%d+):(%d+):(%d+):(-?%d+):(%d+):(.*)$')
  return {
    delivery = tonumber(delivery), attempt = tonumber(attempt), started = tonumber(started), lease = tonumber(lease),
    score = score, claim = claim, claimant = claimant,
  }
end

function record.parse_counts(raw)
  if not raw then
    return {attempt = 0, lapses = 0, crashes = 0, generation = 0, delivery = 0, due = 0, started = 0, settled = ''}
  end
  local attempt, lapses, crashes, generation, delivery, last_due, started, settled =
    string.match(raw, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  return {
    attempt = tonumber(attempt), lapses = tonumber(lapses), crashes = tonumber(crashes),
    generation = tonumber(generation), delivery = tonumber(delivery), due = tonumber(last_due),
    started = tonumber(started), settled = settled,
  }
end

function record.counts(id)
  return record.parse_counts(redis.call('HGET', key.counts, id))
end

function record.set_counts(id, c)
  redis.call('HSET', key.counts, id, table.concat({
    text(c.attempt), text(c.lapses), text(c.crashes), text(c.generation), text(c.delivery), text(c.due),
    text(c.started), c.settled,
  }, ' '))
end

-- What became of a job, as every script tells it. `more`: why it was refused, who holds its key, its task and the reason.
function record.change(id, found, became, generation, more)
  return {
    id, found or false, became or false, generation, more.refused or false, more.holder or false, more.task or false,
    more.reason or false,
  }
end

-- A change of a job that is left as it was found.
function record.unchanged(id, state, more)
  return record.change(id, state, state, state and record.counts(id).generation or 0, more)
end
