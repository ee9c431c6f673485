-- Lists of JSON texts in one field, separated by a character that JSON text can't hold.
-- keys: errors history

local SEPARATOR = '\30'

-- Appends to a field and keeps its last `most` items.
local function append(name, id, items, most)
  local kept = redis.call('HGET', name, id)
  local joined = table.concat(items, SEPARATOR)
  if kept then joined = kept .. SEPARATOR .. joined end
  local _, separators = string.gsub(joined, SEPARATOR, '')
  for _ = most, separators do
    joined = string.sub(joined, string.find(joined, SEPARATOR, 1, true) + 1)
  end
  redis.call('HSET', name, id, joined)
end

local function note_error(id, error)
  if error == '' then return end
  local rest = string.match(error, '^%s*{%s*(.*)$') or '}'
  local comma = string.sub(rest, 1, 1) == '}' and '' or ','
  append(key.errors, id, {'{"at":' .. stamp .. comma .. rest}, NOTES_KEPT)
end

local function note_event(id, event, delivery)
  local note = '{"event":"' .. event .. '","at":' .. stamp .. ',"delivery":' .. text(delivery) .. '}'
  append(key.history, id, {note}, NOTES_KEPT)
end
