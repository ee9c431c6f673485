-- ?1 id, ?2 queue, ?3 now
SELECT address FROM waiters WHERE id = ?1 AND queue = ?2 AND until > ?3
