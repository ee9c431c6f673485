-- ?1 now, ?2 limit
DELETE FROM ids WHERE (id, queue) IN (SELECT id, queue FROM ids WHERE forget_at <= ?1 ORDER BY forget_at LIMIT ?2)
