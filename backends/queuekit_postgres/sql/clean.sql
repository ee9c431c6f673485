-- Removes finished records; how many.
-- the filter: $1 queues text[], $2 tasks text[], $3 states smallint[], $4 tags text[], $5 since, $6 error (null: any)
-- $7 limit
WITH chosen AS MATERIALIZED (
  SELECT id, queue FROM queuekit.finished
  WHERE ($1::text[] IS NULL OR queue = ANY($1::text[])) AND ($2::text[] IS NULL OR task = ANY($2::text[]))
    AND ($3::smallint[] IS NULL OR state = ANY($3::smallint[])) AND ($4::text[] IS NULL OR tags @> $4::text[])
    AND ($5::bigint IS NULL OR enqueued_at >= $5::bigint)
    AND ($6::text IS NULL OR position($6::text IN errors[cardinality(errors)]) > 0)
  LIMIT $7::bigint
)
SELECT count(*), queuekit.forget(array_agg(id), array_agg(queue)) FROM chosen
