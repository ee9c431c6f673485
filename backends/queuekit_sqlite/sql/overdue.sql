-- Jobs that have not begun in time.
-- ?1 now, ?2 limit
SELECT seq FROM jobs WHERE expires_at IS NOT NULL AND state < WAITING AND expires_at <= ?1 LIMIT ?2
