-- Succeeded jobs of a kind beyond the number that is kept, those that would go first.
-- ?1 queue, ?2 task, ?3 how many are kept, ?4 limit
SELECT seq FROM jobs
WHERE code = 7 AND queue = ?1 AND task = ?2
ORDER BY kept_until DESC, seq DESC
LIMIT ?4 OFFSET ?3
