-- Removes jobs that are not running, and records; their ids stay remembered.
-- ARGV: ids
-- Returns the state that was found (false: no such job) and whether it was done (1 or 0), for each.
-- uses: steer
-- keys: jobs succeeded failed cancelled cancels waiters

local function delete(id, state)
  local blob = redis.call('HGET', key.jobs, id)
  if state == 'succeeded' then
    redis.call('ZREM', key.succeeded .. ':' .. task_of(blob), id)
  elseif state == 'failed' or state == 'cancelled' then
    redis.call('ZREM', key[state], id)
  else
    take_out(id)
  end
  local own, waiters = own_options(blob), redis.call('HGET', key.waiters, id)
  forget({id})
  remember({id})
  if waiters then tell(id, waiters) end
  if own.key then succeed_by(id, own) end
end

local changes = {}
for i = SETTINGS + 1, #ARGV do
  local state = state_of(ARGV[i])
  local allowed = state and state ~= 'running'
  if allowed then delete(ARGV[i], state) end
  changes[#changes + 1] = {state, allowed and 1 or 0}
end
ring()
return changes
