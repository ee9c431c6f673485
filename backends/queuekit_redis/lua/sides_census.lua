-- Returns kinds of copies, each followed by how many there are.
-- uses: census

local found = {}
for kind, count in pairs(census.of) do found[#found + 1], found[#found + 2] = kind, count() end
return found
