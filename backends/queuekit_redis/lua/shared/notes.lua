-- What is noted of a job's runs: lists of JSON texts in one field, separated by a character that JSON text can't hold.
-- keys: errors history progress logs

local SEPARATOR = '\30'

-- Appends to a field and keeps its last `most` items.
local function append(name, id, items, most)
  local kept = redis.call('HGET', name, id)
  if kept then items = kept .. SEPARATOR .. items end
  local _, separators = string.gsub(items, SEPARATOR, '')
  for _ = most, separators do
    items = string.sub(items, string.find(items, SEPARATOR, 1, true) + 1)
  end
  redis.call('HSET', name, id, items)
end

function notes.error(id, error)
  if error == '' then return end
  local rest = string.match(error, '^%s*{%s*(.*)$') or '}'
  local comma = string.sub(rest, 1, 1) == '}' and '' or ','
  append(key.errors, id, '{"at":' .. stamp .. comma .. rest, NOTES_KEPT)
end

function notes.event(id, event, delivery)
  append(key.history, id, '{"event":"' .. event .. '","at":' .. stamp .. ',"delivery":' .. text(delivery) .. '}', NOTES_KEPT)
end

function notes.progress(id, fraction)
  redis.call('HSET', key.progress, id, fraction)
end

function notes.log(id, lines)
  append(key.logs, id, lines, LOGS_KEPT)
end
