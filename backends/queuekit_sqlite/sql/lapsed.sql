-- ?1 now, ?2 limit
SELECT seq FROM jobs WHERE state = RUNNING AND leased_until <= ?1 ORDER BY leased_until LIMIT ?2
