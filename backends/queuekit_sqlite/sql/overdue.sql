-- Jobs that have not begun in time; an attempt that counts has begun.
-- ?1 now, ?2 limit
SELECT seq FROM jobs
WHERE expires_at IS NOT NULL AND state < WAITING AND attempt = 0 AND expires_at <= ?1
LIMIT ?2
