-- Puts another gate in place of the one that somebody has seen, unless there are copies of some kinds.
-- ARGV: the gate that he saw, the one to be put ('': none), kinds
-- Returns the gate that is there then, false if there is none.
-- uses: census
-- keys: gate

local before, after = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2]
local found = redis.call('GET', key.gate)
if (found or '') ~= before then return found end
for i = SETTINGS + 3, #ARGV do
  if census.of[ARGV[i]]() > 0 then return found end
end
if after == '' then
  redis.call('DEL', key.gate)
  return false
end
redis.call('SET', key.gate, after)
return after
