-- The place of a job; the newest if the id is in several queues.
-- ?1 id, ?2 queue (NULL: any)
SELECT seq FROM jobs WHERE id = ?1 AND (?2 IS NULL OR queue = ?2) ORDER BY enqueued_at DESC LIMIT 1
