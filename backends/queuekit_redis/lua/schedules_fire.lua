-- Stores the jobs of ticks that are due and moves their schedules on.
-- ARGV: name, rule, tick, next tick and its time ('' for none), how many jobs, and of each of these its tick and its fields
-- (see `shared/enqueue.lua`); for each schedule
-- Returns for each whether that was done (1 or 0).
-- uses: schedules enqueue doorbell
-- keys: fired

local SEPARATOR = '\30'

-- The last ticks of a schedule, with one more.
local function with(ticks, tick, id)
  ticks = ticks .. tick .. ' ' .. stamp .. ' ' .. id .. SEPARATOR
  local _, count = string.gsub(ticks, SEPARATOR, '')
  return count > TICKS_KEPT and string.sub(ticks, string.find(ticks, SEPARATOR, 1, true) + 1) or ticks
end

-- Stores jobs whose fields begin at first, each behind its tick.
local function make(name, first, jobs)
  local ticks = redis.call('HGET', key.fired, name) or ''
  for i = first, first + (jobs - 1) * (1 + enqueue.FIELDS), 1 + enqueue.FIELDS do
    local job, ask, policy = enqueue.read(unpack(ARGV, i + 1, i + enqueue.FIELDS))
    local change = enqueue.store(job, ask, policy)
    local refused = change and change[5]
    ticks = with(ticks, ARGV[i], (not refused or refused == 'known') and hexadecimal(job.id) or '-')
  end
  redis.call('HSET', key.fired, name, ticks)
end

local function fire(first, jobs)
  local name, rule, tick, next_tick, next_at = unpack(ARGV, first, first + 4)
  local one = schedules.read(name)
  if not one or one.paused == '1' or one.rule ~= rule or one.tick ~= tick then return 0 end
  one.tick, one.due_at, one.count = next_tick, next_at, text(one.count + jobs)
  schedules.write(name, one)
  if jobs > 0 then make(name, first + 6, jobs) end
  return 1
end

local done, i = {}, SETTINGS + 1
while i <= #ARGV do
  local jobs = tonumber(ARGV[i + 5])
  done[#done + 1] = fire(i, jobs)
  i = i + 6 + jobs * (1 + enqueue.FIELDS)
end
doorbell.ring()
return done
