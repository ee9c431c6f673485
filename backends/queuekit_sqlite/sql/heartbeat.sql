-- ?1 id, ?2 queue, ?3 delivery, ?4 now
UPDATE jobs SET leased_until = ?4 + lease, renewed_at = NULL
WHERE id = ?1 AND queue = ?2 AND delivery = ?3 AND +state = RUNNING
