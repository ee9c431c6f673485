-- A page of ids and queues, the greatest ids first. Only so many jobs are looked at; the last of them tells where the
-- next page begins if the filter leaves few.
-- the filter: $1 queues text[], $2 tasks text[], $3 states smallint[], $4 tags text[], $5 since, $6 error (null: any)
-- $7 limit, $8 how many to look at, the last one of the page before: $9 id, $10 queue
WITH seen AS MATERIALIZED (
  SELECT * FROM (
    (SELECT id, queue, task, state, tags, enqueued_at, errors FROM queuekit.living
    WHERE id <= $9::uuid AND (id < $9::uuid OR queue COLLATE "C" < $10::text)
    ORDER BY id DESC, queue COLLATE "C" DESC LIMIT $8::bigint)
    UNION ALL
    (SELECT id, queue, task, state, tags, enqueued_at, errors FROM queuekit.finished
    WHERE id <= $9::uuid AND (id < $9::uuid OR queue COLLATE "C" < $10::text)
    ORDER BY id DESC, queue COLLATE "C" DESC LIMIT $8::bigint)
  ) AS entry
  ORDER BY id DESC, queue COLLATE "C" DESC LIMIT $8::bigint
)
SELECT found.id, found.queue, (SELECT count(*) FROM seen) AS seen, last.id AS last_id, last.queue AS last_queue
FROM (SELECT id, queue FROM seen ORDER BY id, queue COLLATE "C" LIMIT 1) AS last
LEFT JOIN LATERAL (
  SELECT id, queue FROM seen
  WHERE ($1::text[] IS NULL OR queue = ANY($1::text[])) AND ($2::text[] IS NULL OR task = ANY($2::text[]))
    AND ($3::smallint[] IS NULL OR state = ANY($3::smallint[])) AND ($4::text[] IS NULL OR tags @> $4::text[])
    AND ($5::bigint IS NULL OR enqueued_at >= $5::bigint)
    AND ($6::text IS NULL OR position($6::text IN queuekit.shown(errors[cardinality(errors)])) > 0)
  ORDER BY id DESC, queue COLLATE "C" DESC LIMIT $7::bigint
) AS found ON true
