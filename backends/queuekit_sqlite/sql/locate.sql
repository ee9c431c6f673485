-- The queue of an id; of the job that was enqueued last if it is in several.
-- ?1 id
SELECT queue FROM jobs WHERE id = ?1 ORDER BY enqueued_at DESC LIMIT 1
