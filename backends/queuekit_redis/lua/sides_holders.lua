-- Who holds keys.
-- ARGV: the keys
-- Returns the epoch (0: there is no gate); and for each key: the id ('': nobody), the kind of the copy ('absent': it is gone, and
-- the key is protected), whether a job waits for its end (1 or 0).
-- uses: gates sides keys

local gate = gates.read()
local HOLDS = {live = true, running = true, moving = true}

local found = {gate and gate.epoch or 0}
for i = SETTINGS + 1, #ARGV do
  local id = keys.holder_of(ARGV[i])
  local kind = id and string.match(sides.look(id), '^%a+')
  local n = #found
  found[n + 1], found[n + 2] = id or '', kind and HOLDS[kind] and kind or 'absent'
  found[n + 3] = id and keys.successor_of(id) and 1 or 0
end
return found
