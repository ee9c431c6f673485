-- Whole jobs that come from another store. Their arguments: id, state, record, whether it takes its key (1 or 0), counters, the
-- job that it follows, its address up to the score and behind it, its end, until when it is leased or kept, how its last run
-- was settled and that run's delivery, whether a cancel was requested (1 or 0), errors, history, progress, logs ('': none).
-- uses: record line keys retention
-- keys: jobs seq running leases counts ended errors history progress logs cancels

whole.FIELDS = 17

local function run(job)
  local score = record.priority(job.blob) * RANK + redis.call('INCR', key.seq)
  redis.call('HSET', key.running, job.id, job.before .. text(score) .. job.behind)
  redis.call('ZADD', key.leases, job.ends, job.id)
  if job.cancel == '1' then redis.call('HSET', key.cancels, job.id, stamp) end
end

local function keep(job)
  redis.call('HSET', key.ended, job.id, job.over)
  retention.put(job.id, job.blob, job.state, job.ends)
end

-- Where a job stands, by its state.
local PUT = {
  ready = function(job) line.make_ready(job.id, job.blob, job.counts) end,
  scheduled = function(job)
    local at = record.times(job.blob)
    line.put_aside(job.id, job.blob, job.counts, at)
  end,
  waiting = function(job) keys.wait_behind(job.follows, job.id) end,
  running = run, succeeded = keep, failed = keep, cancelled = keep,
}

local NOTES = {key.counts, key.errors, key.history, key.progress, key.logs}

-- Stores a job as it is.
function whole.store(job)
  if job.over == '' or tonumber(job.ends) > now then
    redis.call('HSET', key.jobs, job.id, job.blob)
    for i, name in ipairs(NOTES) do
      if job.notes[i] ~= '' then redis.call('HSET', name, job.id, job.notes[i]) end
    end
    PUT[job.state](job)
  end
  if job.over ~= '' then retention.remember({job.id, retention.settled_run(job.id, job.delivery, job.how)}) end
  if job.takes_key then keys.hold(job.id, job.blob, job.own) end
end

local function is_over(blob, own)
  return type(own['until']) == 'number' and record.enqueued_at(blob) + own['until'] <= now
end

-- A job by its arguments.
function whole.read(id, state, blob, takes_key, counts, follows, before, behind, over, ends, how, delivery, cancel, ...)
  local own = record.own(blob)
  return {
    id = id, state = state, blob = blob, own = own, takes_key = takes_key == '1' and not is_over(blob, own), follows = follows,
    before = before, behind = behind, over = over, ends = ends, how = how, delivery = tonumber(delivery), cancel = cancel,
    counts = record.parse_counts(counts ~= '' and counts or nil), notes = {counts, ...},
  }
end
