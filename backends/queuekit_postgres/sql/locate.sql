-- $1 ids uuid[]
SELECT id, queue FROM queuekit.entries WHERE id = ANY($1::uuid[]) ORDER BY enqueued_at
