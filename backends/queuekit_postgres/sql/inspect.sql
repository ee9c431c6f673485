-- name: get
-- Whole jobs, live or finished.
-- $1 ids uuid[], $2 queues text[]
SELECT found.* FROM unnest($1::uuid[], $2::text[]) AS job (id, queue) CROSS JOIN LATERAL (
  SELECT * FROM queuekit.entries e WHERE e.id = job.id AND e.queue = job.queue ORDER BY e.enqueued_at DESC LIMIT 1
) AS found

-- name: locate
-- Ids with their queues; of each the one enqueued last comes last.
-- $1 ids uuid[]
SELECT id, queue FROM queuekit.entries WHERE id = ANY($1::uuid[]) ORDER BY enqueued_at

-- name: find
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

-- name: queues
-- How many jobs each queue holds by state; a paused queue has a row of its own, with a null state.
SELECT queue, state, count(*) AS jobs, false AS paused FROM queuekit.entries GROUP BY queue, state
UNION ALL
SELECT name, NULL, 0, true FROM queuekit.queues WHERE paused
ORDER BY queue

-- name: workers
-- The processes that are there.
SELECT presence, seen_at FROM queuekit.presences WHERE seen_at + ttl > queuekit.now_us() ORDER BY process

-- name: steer
-- Carries out an event on jobs, one after the other.
-- $1 event, $2 states in which it is allowed smallint[], $3 ids uuid[], $4 queues text[], $5 age of cancelled records
SELECT c.* FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS job (id, queue, n)
CROSS JOIN LATERAL queuekit.steer($1, $2::smallint[], job.id, job.queue, $5::bigint) AS c
ORDER BY job.n

-- name: pause
-- Sets whether queues are paused; rings sleepers of those that are not.
-- $1 queues text[], $2 paused
WITH known AS (
  INSERT INTO queuekit.queues (name, paused) SELECT DISTINCT name, $2::boolean FROM unnest($1::text[]) AS q (name)
  ON CONFLICT (name) DO UPDATE SET paused = excluded.paused
)
SELECT CASE WHEN NOT $2::boolean THEN queuekit.ring($1::text[], 1000000) END
