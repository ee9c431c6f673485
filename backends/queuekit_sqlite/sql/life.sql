-- name: find_overdue
-- Jobs of some queues that have not begun in time; an attempt that counts has begun.
-- ?1 a JSON array of the queues, ?2 now, ?3 limit
SELECT seq FROM jobs
WHERE
    expires_at IS NOT NULL AND state < WAITING AND attempt = 0
    AND queue IN (SELECT value FROM json_each(?1)) AND expires_at <= ?2
LIMIT ?3;
