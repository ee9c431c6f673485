-- name: heartbeat
-- Extends leases by their own length; gives those that are still held, and whether a cancellation was requested.
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[]
UPDATE queuekit.jobs j
SET leased_until = (SELECT queuekit.now_us()) + j.lease, renewed_at = NULL
WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
  AND j.delivery = ($2::bigint[])[width_bucket(j.seq, $1::bigint[])]
RETURNING j.seq, j.delivery, j.cancel_requested

-- name: leases
-- The leases that a process holds, in the order of its claims.
-- $1 process
SELECT queue, id, delivery, seq, generation, claim FROM queuekit.jobs WHERE state = RUNNING AND claimant = $1 ORDER BY claim, seq

-- name: report
-- Keeps progress and log lines of running jobs.
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[], $3 progress text[], $4 new lines text[] (JSON arrays), $5 how many
-- lines to keep
UPDATE queuekit.jobs j SET (progress, logs) = (
  SELECT
    coalesce(($3::text[])[p.n], j.progress),
    (lines.kept)[greatest(1, cardinality(lines.kept) - $5::integer + 1):]
  FROM (SELECT width_bucket(j.seq, $1::bigint[]) AS n) AS p
  CROSS JOIN LATERAL (
    SELECT j.logs || ARRAY(SELECT jsonb_array_elements_text((($4::text[])[p.n])::jsonb)) AS kept
  ) AS lines
)
WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
  AND j.delivery = ($2::bigint[])[width_bucket(j.seq, $1::bigint[])]

-- name: present
-- Registers a process, or says that it is still there.
-- $1 process, $2 presence (JSON), $3 ttl
INSERT INTO queuekit.presences (process, presence, seen_at, ttl) VALUES ($1, $2, queuekit.now_us(), $3)
ON CONFLICT (process) DO UPDATE SET presence = excluded.presence, seen_at = excluded.seen_at, ttl = excluded.ttl

-- name: unserved
-- Queues that hold something and that no present process serves.
WITH RECURSIVE filled AS (
  SELECT queuekit.queue_after('') AS name
  UNION ALL
  SELECT queuekit.queue_after(f.name) FROM filled f WHERE f.name IS NOT NULL
)
SELECT f.name FROM filled f WHERE f.name IS NOT NULL AND NOT EXISTS (
  SELECT FROM queuekit.presences p
  WHERE p.seen_at + p.ttl > queuekit.now_us() AND (p.presence::jsonb -> 'queues') ? f.name
)
ORDER BY f.name

-- name: absent
-- Strikes a process off.
-- $1 process
DELETE FROM queuekit.presences WHERE process = $1
