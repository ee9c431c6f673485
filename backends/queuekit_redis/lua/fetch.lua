-- Settles plain jobs that succeeded, and claims the next.
-- ARGV: process, number of the claim, lease, limit, at most how many suspects, what `ack_plain` takes
-- Returns whether it settled, the time in ms, and of the claimed jobs: ids, refs, records; then for those that are not at
-- their first claim or have the flag o: index, attempt, delivery, lapses, crashes, lease, expires in (-1: never); then
-- whether suspects are left (1 or 0); of those that had expired: id, task, reason.
-- uses: acks promote owner counts fail
-- keys: jobs ready suspects running leases expiring counts paused keyed

local process, number, lease = ARGV[SETTINGS + 1], ARGV[SETTINGS + 2], ARGV[SETTINGS + 3]
local limit, suspects = tonumber(ARGV[SETTINGS + 4]), tonumber(ARGV[SETTINGS + 5])
local ms = math.floor(now / 1000)
local settled = ack_plain(SETTINGS + 6) and 1 or 0
local ids, refs, records, odd, taken, suspects_left = {}, {}, {}, {}, 0, 0
local head, tail = 'p:' .. text(ms) .. ':1:' .. stamp .. ':' .. lease .. ':', ':' .. number .. ':' .. process
local usual_end = text(now + lease)

-- The ref and the end of the lease of a job that needs a closer look; nil if it has expired.
local function claim_odd(id, blob, score, counts)
  local own, c = own_options(blob), parse_counts(counts)
  local left = own.expires and c.attempt == 0 and c.generation == 0 and stored_at(blob) + own.expires - now
  if own.expires then redis.call('ZREM', key.expiring, id) end
  if left and left <= 0 then
    fail(id, blob, {kind = 'expire', reason = 'expired', attempt = c.attempt})
    return nil
  end
  if own['until'] == 'started' then free_key(id, own) end
  local attempt, delivery, length = text(c.attempt + 1), text(math.max(c.delivery + 1, ms)), text(own.lease or lease)
  for _, value in ipairs({taken, attempt, delivery, c.lapses, c.crashes, length, text(left or -1)}) do
    odd[#odd + 1] = value
  end
  -- Its ack may go with others unless it has to look at the record.
  local flag = (own.key or own.age or own.expires) and 'o' or 'p'
  return table.concat({flag, delivery, attempt, stamp, length, score}, ':') .. tail, text(now + length)
end

-- Claims what was popped: ids and scores.
local function claim(popped)
  local candidates, running, leases, n = {}, {}, {}, 0
  for i = 1, #popped / 2 do candidates[i] = popped[2 * i - 1] end
  local blobs = redis.call('HMGET', key.jobs, unpack(candidates))
  local counts = present(key.counts) and redis.call('HMGET', key.counts, unpack(candidates)) or NONE
  for i, id in ipairs(candidates) do
    local blob, ref, ends = blobs[i], nil, usual_end
    if blob and string.byte(blob) ~= OWN and not counts[i] then
      ref = head .. popped[2 * i] .. tail
    elseif blob then
      ref, ends = claim_odd(id, blob, popped[2 * i], counts[i])
    end
    if ref then
      taken = taken + 1
      ids[taken], refs[taken], records[taken] = id, ref, blob
      running[n + 1], running[n + 2] = id, ref
      leases[n + 1], leases[n + 2] = ends, id
      n = n + 2
    end
  end
  if n == 0 then return end
  redis.call('HSET', key.running, unpack(running))
  redis.call('ZADD', key.leases, unpack(leases))
end

local function claim_from(line, most)
  local left = math.min(most, limit - taken)
  while left > 0 and #ended < 3 * BULK do
    local before, popped = taken, redis.call('ZPOPMIN', line, math.min(left, BULK))
    if #popped == 0 then return end
    claim(popped)
    left = left - (taken - before)
  end
end

if limit > 0 and not present(key.paused) then
  heard(process)
  local promoted = promote_due()
  claim_from(key.suspects, suspects)
  suspects_left = redis.call('EXISTS', key.suspects)
  claim_from(key.ready, limit)
  announce(math.max(promoted - taken, 0))
end
ring()
return {settled, text(ms), ids, refs, records, odd, suspects_left, ended}
