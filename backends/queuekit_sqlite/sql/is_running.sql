-- ?1 id, ?2 queue, ?3 delivery
SELECT seq FROM jobs WHERE id = ?1 AND queue = ?2 AND delivery = ?3 AND +state = RUNNING
