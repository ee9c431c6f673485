-- name: advance
-- Promotes what is due, fails what has expired, hands out solitary jobs; how many (of the expired: which, or null), and
-- what time it is.
-- $1 queues text[], $2 age of failed records, $3 up to when that was done
SELECT
  queuekit.promote($1::text[], $3::bigint) AS promoted,
  (SELECT json_agg(e) FROM queuekit.expire($1::text[], $2::bigint, $3::bigint) AS e) AS expired,
  queuekit.hand_out($1::text[]) AS handed_out,
  queuekit.now_us() AS now

-- name: nonempty
-- Which queues have a job to claim, ranges as in `claim`; one index probe each.
-- $1 queues text[] and their ranges: $2 from priorities smallint[], $3 behind seqs bigint[], $4 below smallint[],
-- $5 whether suspects count
SELECT range.queue
FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::smallint[]) AS range (queue, priority, seq, below)
CROSS JOIN LATERAL (
  (SELECT 1 FROM queuekit.jobs j
  WHERE j.state = READY AND j.queue = range.queue AND (j.priority, j.seq) > (range.priority, range.seq)
    AND j.priority < range.below LIMIT 1)
  UNION ALL
  (SELECT 1 FROM queuekit.jobs j WHERE $5::boolean AND j.state = SUSPECT AND j.queue = range.queue LIMIT 1)
  LIMIT 1
) AS hit

-- name: claim
-- Claims ready jobs of one queue. The shape is deliberate: an array of ctids, each row found by its index, never a join
-- that may turn into a hash join. Ranges of (priority, seq) leave out what earlier claims have emptied, as the dead
-- index entries there cannot be removed while any old snapshot is open.
-- $1 queue, $2 limit, $3 process, $4 number, $5 lease, $6 limit of suspects, ranges, in order:
-- $7 from priorities smallint[], $8 behind seqs bigint[], $9 below priorities smallint[]
WITH suspects AS MATERIALIZED (
  SELECT j.ctid FROM queuekit.jobs j
  WHERE j.state = SUSPECT AND j.queue = $1
    AND (j.expires_at IS NULL OR j.attempt > 0 OR j.expires_at > (SELECT queuekit.now_us()))
    AND NOT (SELECT EXISTS (SELECT FROM queuekit.queues q WHERE q.name = $1 AND q.paused))
  ORDER BY j.priority, j.seq LIMIT least($6::bigint, $2::bigint) FOR UPDATE SKIP LOCKED
)
UPDATE queuekit.jobs SET
  state = RUNNING,
  attempt = attempt + 1,
  delivery = greatest(delivery + 1, (SELECT queuekit.now_us() / 1000)),
  started_at = (SELECT queuekit.now_us()),
  lease = coalesce(own_lease, $5::bigint),
  leased_until = (SELECT queuekit.now_us()) + coalesce(own_lease, $5::bigint),
  claimant = $3,
  claim = $4,
  renewed_at = NULL
WHERE ctid = ANY(ARRAY(SELECT ctid FROM suspects) || ARRAY(
  SELECT ready.ctid
  FROM unnest($7::smallint[], $8::bigint[], $9::smallint[]) AS range (priority, seq, below)
  CROSS JOIN LATERAL (
    SELECT j.ctid FROM queuekit.jobs j
    WHERE j.state = READY AND j.queue = $1 AND (j.priority, j.seq) > (range.priority, range.seq)
      AND j.priority < range.below
      AND (j.expires_at IS NULL OR j.attempt > 0 OR j.expires_at > (SELECT queuekit.now_us()))
      AND NOT (SELECT EXISTS (SELECT FROM queuekit.queues q WHERE q.name = $1 AND q.paused))
    ORDER BY j.priority, j.seq LIMIT $2::bigint FOR UPDATE SKIP LOCKED
  ) AS ready
  LIMIT $2::bigint - (SELECT count(*) FROM suspects)
))
RETURNING seq, id, delivery, generation, task, payload, attempt, max_attempts, lapses, crashes, lease,
  CASE WHEN attempt = 1 THEN expires_at - (SELECT queuekit.now_us()) END AS expires_in, coalesce(extra, ''), priority,
  CASE WHEN key_for = 0 THEN queuekit.free_started_key(queue, key, id) END
