-- $1 ids uuid[], $2 queue or null
SELECT * FROM queuekit.entries WHERE id = ANY($1::uuid[]) AND ($2::text IS NULL OR queue = $2) ORDER BY enqueued_at
