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
