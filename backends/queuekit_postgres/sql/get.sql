-- $1 ids uuid[], $2 queues text[]
SELECT found.* FROM unnest($1::uuid[], $2::text[]) AS job (id, queue) CROSS JOIN LATERAL (
  SELECT * FROM queuekit.entries e WHERE e.id = job.id AND e.queue = job.queue ORDER BY e.enqueued_at DESC LIMIT 1
) AS found
