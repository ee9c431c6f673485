-- What is there of jobs.
-- ARGV: ids
-- Returns for each: kind, generation, epoch and delivery in one text; and the text that was put there.
-- uses: sides

local found = {}
for i = SETTINGS + 1, #ARGV do
  found[#found + 1], found[#found + 2] = sides.look(ARGV[i])
end
return found
