-- Succeeded jobs of a kind beyond the number that is kept, those that would go first, and whether they may go now.
-- ?1 queue, ?2 task, ?3 how many are kept, ?4 limit, ?5 now
SELECT seq, coalesce(spared_until, 0) <= ?5 FROM jobs
WHERE state = SUCCEEDED AND queue = ?1 AND task = ?2
ORDER BY kept_until DESC, seq DESC
LIMIT ?4 OFFSET ?3
