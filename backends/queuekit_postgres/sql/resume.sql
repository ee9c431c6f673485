-- $1 queues text[]
WITH resumed AS (UPDATE queuekit.queues SET paused = false WHERE name = ANY($1::text[]))
SELECT queuekit.ring($1::text[], 1000000)
