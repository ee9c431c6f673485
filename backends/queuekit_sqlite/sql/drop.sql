-- Remove a job, if it is at the given point of its life.
-- ?1 seq, ?2 id, ?3 delivery, ?4 state
DELETE FROM jobs WHERE seq = ?1 AND id = ?2 AND delivery = ?3 AND +state = ?4
