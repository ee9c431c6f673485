-- Stores any jobs, one after the other.
-- ARGV: epoch and deadline (see `gates.guard`); for each job its fields (see `shared/enqueue.lua`)
-- Returns the places and changes of those that were not just stored, to be scheduled if they have a delay, else ready.
-- uses: enqueue gates doorbell

local odd = {}
enqueue.guard = gates.guard(ARGV[SETTINGS + 1], ARGV[SETTINGS + 2])
for i = SETTINGS + 3, #ARGV, enqueue.FIELDS do
  local change = enqueue.store(enqueue.read(unpack(ARGV, i, i + enqueue.FIELDS - 1)))
  if change then odd[#odd + 1], odd[#odd + 2] = (i - SETTINGS - 3) / enqueue.FIELDS, change end
end
doorbell.ring()
return odd
