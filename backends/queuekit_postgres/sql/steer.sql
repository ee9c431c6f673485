-- Carries out an event on jobs, one after the other.
-- $1 event, $2 states in which it is allowed smallint[], $3 ids uuid[], $4 queues text[], $5 age of cancelled records
SELECT c.found, c.now, c.generation, c.refused, c.holder
FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS job (id, queue, n)
CROSS JOIN LATERAL queuekit.steer($1, $2::smallint[], job.id, job.queue, $5::bigint) AS c
ORDER BY job.n
