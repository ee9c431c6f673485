-- What a script reads of a stored job: <flag><stored at>\n<priority>;<max attempts>;<task>\n[<own options>\n]<payload>.
-- The flag is p for a plain job, o for one with options of its own (a JSON object), e if no claim or ack need look at them.

local NONE = {}

local function own_options(blob)
  if string.byte(blob) == PLAIN then return NONE end
  return cjson.decode(string.match(blob, '^[^\n]*\n[^\n]*\n([^\n]*)\n'))
end

local function priority_of(blob)
  return tonumber(string.match(blob, '^[^\n]*\n(-?%d+)'))
end

local function task_of(blob)
  return string.match(blob, '^[^\n]*\n[^;]*;[^;]*;([^\n]*)\n')
end

local function stored_at(blob)
  return tonumber(string.match(blob, '^.(%d+)'))
end

local function due_of(blob, own)
  return own.due or own.delay and stored_at(blob) + own.delay or 0
end

-- A claim, whose flag is p if its ack may go in bulk: <flag>:<delivery>:<attempt>:<started at>:<lease>:<score>:<number>:<process>.
local function parse_ref(ref)
  local _, delivery, attempt, _, lease, score, number, process =
    string.match(ref, '^(%a):(%d+):(%d+):(%d+):(%d+):(-?%d+):(%d+):(.*)$')
  return {
    delivery = delivery, attempt = tonumber(attempt), lease = tonumber(lease), score = score, number = number,
    process = process,
  }
end
