-- Which queues have a job to claim, ranges as in claim.sql; one index probe each.
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
