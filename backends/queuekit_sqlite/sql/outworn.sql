-- Failed and cancelled jobs past their retention.
-- ?1 now, ?2 limit
SELECT seq FROM jobs WHERE state > SUCCEEDED AND kept_until <= ?1 ORDER BY kept_until LIMIT ?2
