-- Succeeded jobs of a kind past their retention.
-- ?1 queue, ?2 task, ?3 now, ?4 limit
SELECT seq FROM jobs
WHERE state = SUCCEEDED AND queue = ?1 AND task = ?2 AND kept_until <= ?3
ORDER BY kept_until
LIMIT ?4
