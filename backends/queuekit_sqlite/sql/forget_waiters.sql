-- ?1 id, ?2 queue
DELETE FROM waiters WHERE id = ?1 AND queue = ?2
