-- Jobs that a script itself ends as failed.
-- uses: finish record

-- Id, task and reason of each.
local ended = {}

local function fail(id, blob, over)
  over.state = 'failed'
  finish(id, blob, over)
  for _, value in ipairs({id, task_of(blob), over.reason}) do ended[#ended + 1] = value end
end
