-- Puts something else in place of copies, each for itself, if they are what somebody has seen.
-- ARGV: id, what he saw (kind, generation, epoch and delivery), epoch, deadline ('': none), a key to be given back ('': none),
-- what is to be there, its text, how many arguments of a whole job follow, and these (see `shared/whole.lua`); for each
-- Returns for each what was found, and why nothing was done ('': it was).
-- uses: gates sides line retention whole keys doorbell
-- keys: failed cancelled held moving tombs

local gate = gates.read()

local function refusal(found, before, epoch, deadline)
  if not gate or gate.epoch ~= tonumber(epoch) then return 'stale' end
  if deadline ~= '' and now > tonumber(deadline) then return 'late' end
  if found ~= before or string.match(found, '^%a+') == 'running' then return 'changed' end
end

local function take_away(id, kind)
  if kind == 'live' then line.take_out(id) end
  if kind == 'failed' then
    redis.call('ZREM', key.failed, id)
    redis.call('ZREM', key.cancelled, id)
  end
  if kind == 'live' or kind == 'failed' then retention.forget({id}) end
  if kind == 'absent' then return end
  for _, name in ipairs({key.held, key.moving, key.tombs}) do redis.call('HDEL', name, id) end
end

-- The arguments of a whole job, if there are any, begin at first.
local function put(id, after, rest, first, fields)
  local kind, numbers = string.match(after, '^(%a+) (.*)$')
  if fields > 0 then
    local job = whole.read(unpack(ARGV, first, first + fields - 1))
    local holder = job.own.key and keys.holder_of(job.own.key)
    job.takes_key = job.takes_key and (not holder or holder == id)
    whole.store(job)
  elseif kind ~= 'absent' then
    redis.call('HSET', sides.store_of(kind), id, numbers .. '\n' .. (kind == 'done' and stamp or rest))
  end
end

local done, i = {}, SETTINGS + 1
while i <= #ARGV do
  local id, before, epoch, deadline, frees, after, rest, fields = unpack(ARGV, i, i + 7)
  fields = tonumber(fields)
  local found = sides.look(id)
  local why = refusal(found, before, epoch, deadline)
  if not why then
    take_away(id, string.match(found, '^%a+'))
    if frees ~= '' then keys.free(id, {key = frees}) end
    put(id, after, rest, i + 8, fields)
  end
  done[#done + 1], done[#done + 2] = found, why or ''
  i = i + 8 + fields
end
doorbell.ring()
return done
