-- name: insert
-- Stores plain new jobs and rings sleepers; an id that is there already refuses the batch, and so does a queue that has
-- moved, or a deadline that is over: then nothing is stored.
-- $1 ids uuid[], $2 queues text[], $3 tasks text[], $4 payloads text[], $5 priorities smallint[],
-- $6 max_attempts integer[], $7 until when, null: there is no deadline
WITH rung AS (
  DELETE FROM queuekit.sleepers WHERE process = ANY(ARRAY(
    SELECT s.process FROM queuekit.sleepers s
    WHERE s.queues && $2::text[] AND s.until > (SELECT queuekit.now_us())
    LIMIT cardinality($1::uuid[]) + 2 FOR UPDATE SKIP LOCKED
  ))
  RETURNING pg_notify(queuekit.bell(process), ''), (SELECT queuekit.stir($2::text[]))
)
INSERT INTO queuekit.jobs (enqueued_at, id, queue, task, payload, priority, max_attempts)
SELECT (SELECT queuekit.now_us()), id, queue, task, payload, priority, max_attempts
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::integer[])
  AS u (id, queue, task, payload, priority, max_attempts)
WHERE NOT (SELECT EXISTS (SELECT FROM queuekit.gates g WHERE g.shut AND g.queue = ANY($2::text[])))
  AND ($7::bigint IS NULL OR (SELECT queuekit.now_us()) <= $7::bigint)

-- name: store
-- Stores any jobs, one after the other; gives the odd answers, with their places in the arrays.
-- $1 ids uuid[], $2 tasks text[], $3 payloads text[], $4 keys text[], $5 fresh boolean[], $6 options text[] (JSON),
-- $7 patient boolean (false in a caller's own transaction), $8 whether a queue that has moved refuses all, $9 epoch and
-- $10 deadline, in which alone they are stored (null: any)
SELECT * FROM queuekit.store_all(
  $1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::boolean, $8::boolean,
  ($9::bigint, $10::bigint)::queuekit.guard
)
