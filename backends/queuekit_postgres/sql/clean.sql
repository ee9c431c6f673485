-- Removes finished records; how many.
-- the filter: $1 queues text[], $2 tasks text[], $3 states smallint[], $4 tags text[], $5 since, $6 error (null: any)
-- $7 limit
WITH chosen AS MATERIALIZED (
  SELECT e.id, e.queue FROM queuekit.entries e
  WHERE e.finished_at IS NOT NULL
    AND queuekit.meant(e, $1::text[], $2::text[], $3::smallint[], $4::text[], $5::bigint, $6::text)
  LIMIT $7
)
SELECT count(*), queuekit.forget(array_agg(id), array_agg(queue)) FROM chosen
