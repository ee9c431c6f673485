-- A page of jobs, newest ids first. Only so many are looked at; the last of them tells where the next page begins if
-- the filter leaves few.
-- the filter: $1 queues text[], $2 tasks text[], $3 states smallint[], $4 tags text[], $5 since, $6 error (null: any)
-- $7 limit, $8 how many to look at, the last one of the page before: $9 id, $10 queue
WITH seen AS MATERIALIZED (
  SELECT * FROM (
    (SELECT * FROM queuekit.living WHERE (id, queue) < ($9::uuid, $10::text)
    ORDER BY id DESC, queue DESC LIMIT $8::bigint)
    UNION ALL
    (SELECT * FROM queuekit.finished WHERE (id, queue) < ($9::uuid, $10::text)
    ORDER BY id DESC, queue DESC LIMIT $8::bigint)
  ) AS entry
  ORDER BY id DESC, queue DESC LIMIT $8::bigint
)
SELECT found.*, (SELECT count(*) FROM seen) AS seen, last.id AS last_id, last.queue AS last_queue
FROM (SELECT id, queue FROM seen ORDER BY id, queue LIMIT 1) AS last
LEFT JOIN LATERAL (
  SELECT * FROM seen
  WHERE ($1::text[] IS NULL OR queue = ANY($1::text[])) AND ($2::text[] IS NULL OR task = ANY($2::text[]))
    AND ($3::smallint[] IS NULL OR state = ANY($3::smallint[])) AND ($4::text[] IS NULL OR tags @> $4::text[])
    AND ($5::bigint IS NULL OR enqueued_at >= $5::bigint)
    AND ($6::text IS NULL OR position($6::text IN errors[cardinality(errors)]) > 0)
  ORDER BY id DESC, queue DESC LIMIT $7::bigint
) AS found ON true
