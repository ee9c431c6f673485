-- Stores whole jobs as they come from another store, one after the other.
-- ARGV: for each job its arguments (see `shared/whole.lua`)
-- Returns the places and changes of those that were refused.
-- uses: whole record line keys retention gates doorbell
-- keys: jobs running gate

local function refused_as(why, id, holder)
  return record.change(id, nil, nil, 0, {refused = why, holder = holder})
end

local function refusal(job)
  local id, follows = job.id, job.follows
  if redis.call('HEXISTS', key.jobs, id) == 1 then return record.unchanged(id, line.state_of(id), {refused = 'known'}) end
  if retention.remembers(id) or present(key.gate) and gates.knows(id) then return refused_as('known', id) end
  if follows ~= '' and redis.call('HEXISTS', key.running, follows) == 0 then return refused_as('gone', id, follows) end
  local holder = follows ~= '' and keys.successor_of(follows) or job.takes_key and keys.holder_of(job.own.key)
  if holder then return refused_as('key held', id, holder) end
end

local odd = {}
for i = SETTINGS + 1, #ARGV, whole.FIELDS do
  local job = whole.read(unpack(ARGV, i, i + whole.FIELDS - 1))
  local why = refusal(job)
  if why then
    odd[#odd + 1], odd[#odd + 2] = (i - SETTINGS - 1) / whole.FIELDS, why
  else
    whole.store(job)
  end
end
doorbell.ring()
return odd
