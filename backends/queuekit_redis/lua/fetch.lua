-- Settles plain jobs that succeeded, and claims the next.
-- ARGV: claimant, number of the claim, lease, limit, at most how many suspects, what `life.succeed` takes
-- Returns whether it settled, the time in ms, and of the claimed jobs: ids, addresses, records; then for those that are not
-- at their first claim or have the flag o: index, attempt, delivery, lapses, crashes, lease, expires in (-1: never),
-- generation; then whether suspects are left (1 or 0), and the changes of those that had expired.
-- uses: life line leases keys record doorbell
-- keys: jobs ready suspects running leases expiring counts paused

local OWN = string.byte('o')
local claimant, number, lease = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2], ARGV[SETTINGS + 3]
local limit, suspects = tonumber(ARGV[SETTINGS + 4]), tonumber(ARGV[SETTINGS + 5])
local ms = math.floor(now / 1000)
local settled = life.succeed(SETTINGS + 6) and 1 or 0
local ids, addresses, records, odd, expired, taken, suspects_left = {}, {}, {}, {}, {}, 0, 0
local head, tail = 'p:' .. text(ms) .. ':1:' .. stamp .. ':' .. lease .. ':', ':' .. number .. ':' .. claimant
local usual_end = text(now + lease)

-- The address and the end of the lease of a job that needs a closer look; nil if it has expired.
local function claim_odd(id, blob, score, counts)
  local own, c, _, expires = record.own(blob), record.parse_counts(counts), record.times(blob)
  local left = expires > 0 and c.attempt == 0 and expires - now
  if expires > 0 then redis.call('ZREM', key.expiring, id) end
  if left and left <= 0 then
    expired[#expired + 1] = life.expire(id, blob, own, c, 'ready')
    return nil
  end
  if own['until'] == 'started' then keys.free(id, own) end
  local attempt, delivery, length = text(c.attempt + 1), text(math.max(c.delivery + 1, ms)), text(own.lease or lease)
  for _, value in ipairs({taken, attempt, delivery, c.lapses, c.crashes, length, text(left or -1), c.generation}) do
    odd[#odd + 1] = value
  end
  -- Its ack may go with others unless it has to look at the record.
  local flag = (own.key or own.age or expires > 0) and 'o' or 'p'
  return table.concat({flag, delivery, attempt, stamp, length, score}, ':') .. tail, text(now + length)
end

-- Claims what was popped: ids and scores.
local function claim(popped)
  local candidates, running, ends, n = {}, {}, {}, 0
  for i = 1, #popped / 2 do candidates[i] = popped[2 * i - 1] end
  local blobs = redis.call('HMGET', key.jobs, unpack(candidates))
  local counts = present(key.counts) and redis.call('HMGET', key.counts, unpack(candidates)) or NONE
  for i, id in ipairs(candidates) do
    local blob, address, ending = blobs[i], nil, usual_end
    if blob and string.byte(blob) ~= OWN and not counts[i] then
      address = head .. popped[2 * i] .. tail
    elseif blob then
      address, ending = claim_odd(id, blob, popped[2 * i], counts[i])
    end
    if address then
      taken = taken + 1
      ids[taken], addresses[taken], records[taken] = id, address, blob
      running[n + 1], running[n + 2] = id, address
      ends[n + 1], ends[n + 2] = ending, id
      n = n + 2
    end
  end
  if n == 0 then return end
  redis.call('HSET', key.running, unpack(running))
  redis.call('ZADD', key.leases, unpack(ends))
end

local function claim_from(name, most)
  local left = math.min(most, limit - taken)
  while left > 0 and #expired < BULK do
    local before, popped = taken, redis.call('ZPOPMIN', name, math.min(left, BULK))
    if #popped == 0 then return end
    claim(popped)
    left = left - (taken - before)
  end
end

if limit > 0 and not present(key.paused) then
  leases.heard(claimant)
  local promoted = line.promote_due()
  claim_from(key.suspects, suspects)
  suspects_left = redis.call('EXISTS', key.suspects)
  claim_from(key.ready, limit)
  doorbell.announce(math.max(promoted - taken, 0))
end
doorbell.ring()
return {settled, text(ms), ids, addresses, records, odd, suspects_left, expired}
