-- All that is known of jobs, live or finished.
-- ARGV: ids
-- Returns for each: state (false: unknown), record, end, address of the run, end of lease, counters, errors, history, progress,
-- logs, the job that it follows, cancel requested.
-- uses: line
-- keys: jobs ended running leases counts errors history progress logs waiting cancels

local found = {}
for i = SETTINGS + 1, #ARGV do
  local id = ARGV[i]
  local blob = redis.call('HGET', key.jobs, id)
  found[#found + 1] = blob and {
    line.state_of(id), blob, redis.call('HGET', key.ended, id), redis.call('HGET', key.running, id),
    redis.call('ZSCORE', key.leases, id), redis.call('HGET', key.counts, id), redis.call('HGET', key.errors, id),
    redis.call('HGET', key.history, id), redis.call('HGET', key.progress, id), redis.call('HGET', key.logs, id),
    redis.call('HGET', key.waiting, id), redis.call('HEXISTS', key.cancels, id),
  } or {false}
end
return found
