-- Whether an id is there or was, and its state (NULL: only the id is remembered).
-- ?1 id, ?2 queue, ?3 now
SELECT state FROM jobs WHERE id = ?1 AND queue = ?2
UNION ALL
SELECT NULL FROM ids WHERE id = ?1 AND queue = ?2 AND forget_at > ?3
