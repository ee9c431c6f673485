-- Stores the jobs of ticks that are due and moves their schedules on.
-- ARGV: name, rule, tick, next tick and its time ('' for none), how many jobs, and of each of these its tick, whether it can
-- be stored (1 or 0) and its fields (see `shared/enqueue.lua`); for each schedule
-- Returns for each the places and changes of jobs that were not just stored, or 0: nothing was done.
-- uses: schedules enqueue gates doorbell
-- keys: fired

local SEPARATOR, SIZE = '\30', 2 + enqueue.FIELDS

-- The last ticks of a schedule, with one more.
local function with(ticks, tick, id)
  ticks = ticks .. tick .. ' ' .. stamp .. ' ' .. id .. SEPARATOR
  local _, count = string.gsub(ticks, SEPARATOR, '')
  return count > TICKS_KEPT and string.sub(ticks, string.find(ticks, SEPARATOR, 1, true) + 1) or ticks
end

-- Stores jobs whose fields begin at first, each behind its tick; what became of those that were not just stored.
local function make(name, first, jobs)
  local ticks, odd = redis.call('HGET', key.fired, name) or '', {}
  for n = 0, jobs - 1 do
    local at, id = first + n * SIZE, '-'
    if ARGV[at + 1] == '1' then
      local job, ask, policy = enqueue.read(unpack(ARGV, at + 2, at + SIZE - 1))
      local change = enqueue.store(job, ask, policy)
      if change then odd[#odd + 1], odd[#odd + 2] = n, change end
      local refused = change and change[5]
      if not refused or refused == 'known' then id = hexadecimal(job.id) end
    end
    ticks = with(ticks, ARGV[at], id)
  end
  redis.call('HSET', key.fired, name, ticks)
  return odd
end

local ticks = gates.ticks()

local function fire(first, jobs)
  if not ticks then return 0 end
  local name, rule, tick, next_tick, next_at = unpack(ARGV, first, first + 4)
  local one = schedules.read(name)
  if not one or one.paused == '1' or one.rule ~= rule or one.tick ~= tick then return 0 end
  one.tick, one.due_at, one.count = next_tick, next_at, text(one.count + jobs)
  schedules.write(name, one)
  return jobs > 0 and make(name, first + 6, jobs) or {}
end

local done, i = {}, SETTINGS + 1
while i <= #ARGV do
  local jobs = tonumber(ARGV[i + 5])
  done[#done + 1] = fire(i, jobs)
  i = i + 6 + jobs * SIZE
end
doorbell.ring()
return done
