-- Ends unstarted jobs as cancelled; notes the request for running ones and wakes their process.
-- ARGV: ids
-- Returns the state that was found (false: no such job) and whether it was done (1 or 0), for each.
-- uses: steer notes
-- keys: running cancels

local function request(id)
  local claim = parse_ref(redis.call('HGET', key.running, id))
  if redis.call('HSETNX', key.cancels, id, stamp) == 1 then note_event(id, 'cancel', tonumber(claim.delivery)) end
  redis.call('PUBLISH', ARGV[4] .. claim.process, 'wake')
end

local OPEN = {ready = cancel_unstarted, scheduled = cancel_unstarted, waiting = cancel_unstarted, running = request}

pass_when_full('HDEL', key.cancels)
local changes = {}
for i = SETTINGS + 1, #ARGV do
  local state = state_of(ARGV[i])
  if OPEN[state] then OPEN[state](ARGV[i]) end
  changes[#changes + 1] = {state, OPEN[state] and 1 or 0}
end
ring()
return changes
