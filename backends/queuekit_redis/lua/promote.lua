-- Puts scheduled jobs in line before they are due.
-- ARGV: ids
-- Returns the state that was found (false: no such job) and whether it was done (1 or 0), for each.
-- uses: promote doorbell

local changes, ids = {}, {}
for i = SETTINGS + 1, #ARGV do
  local state = state_of(ARGV[i])
  local scheduled = state == 'scheduled'
  if scheduled then ids[#ids + 1] = ARGV[i] end
  changes[#changes + 1] = {state, scheduled and 1 or 0}
end
if #ids > 0 then
  put_in_line(ids)
  announce(#ids)
end
ring()
return changes
