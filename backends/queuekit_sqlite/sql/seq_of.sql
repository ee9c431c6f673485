-- The place of a job.
-- ?1 id, ?2 queue
SELECT seq FROM jobs WHERE id = ?1 AND queue = ?2
