-- Stores whole jobs as they come from another store, one after the other.
-- ARGV: id, state, record, whether it takes its key (1 or 0), counters, the job that it follows, its address up to the score
-- and behind it, its end, until when it is leased or kept, how its last run was settled and that run's delivery, whether a
-- cancel was requested (1 or 0), errors, history, progress, logs ('': there is none); for each job
-- Returns the places and changes of those that were refused.
-- uses: record line keys retention doorbell
-- keys: jobs seq running leases counts ended errors history progress logs cancels

local FIELDS = 17
local NOTES = {key.counts, key.errors, key.history, key.progress, key.logs}

local function refused_as(why, id, holder)
  return record.change(id, nil, nil, 0, {refused = why, holder = holder})
end

local function refusal(job)
  local id, follows = job.id, job.follows
  if redis.call('HEXISTS', key.jobs, id) == 1 then return record.unchanged(id, line.state_of(id), {refused = 'known'}) end
  if retention.remembers(id) then return refused_as('known', id) end
  if follows ~= '' and redis.call('HEXISTS', key.running, follows) == 0 then return refused_as('gone', id, follows) end
  local holder = follows ~= '' and keys.successor_of(follows) or job.takes_key and keys.holder_of(job.own.key)
  if holder then return refused_as('key held', id, holder) end
end

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

local function store(job, notes)
  local why = refusal(job)
  if why then return why end
  if job.over == '' or tonumber(job.ends) > now then
    redis.call('HSET', key.jobs, job.id, job.blob)
    for i, name in ipairs(NOTES) do
      if notes[i] ~= '' then redis.call('HSET', name, job.id, notes[i]) end
    end
    PUT[job.state](job)
  end
  if job.over ~= '' then retention.remember({job.id, retention.settled_run(job.id, job.delivery, job.how)}) end
  if job.takes_key then keys.hold(job.id, job.blob, job.own) end
end

local function is_over(blob, own)
  return type(own['until']) == 'number' and record.enqueued_at(blob) + own['until'] <= now
end

local function read(id, state, blob, takes_key, counts, follows, before, behind, over, ends, how, delivery, cancel, ...)
  local own = record.own(blob)
  local job = {
    id = id, state = state, blob = blob, own = own, takes_key = takes_key == '1' and not is_over(blob, own), follows = follows,
    before = before, behind = behind, over = over, ends = ends, how = how, delivery = tonumber(delivery), cancel = cancel,
    counts = record.parse_counts(counts ~= '' and counts or nil),
  }
  return job, {counts, ...}
end

local odd = {}
for i = SETTINGS + 1, #ARGV, FIELDS do
  local change = store(read(unpack(ARGV, i, i + FIELDS - 1)))
  if change then odd[#odd + 1], odd[#odd + 2] = (i - SETTINGS - 1) / FIELDS, change end
end
doorbell.ring()
return odd
