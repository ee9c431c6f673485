-- ?1 now, ?2 limit
SELECT seq, queue, lapses FROM jobs WHERE state = SCHEDULED AND scheduled_at <= ?1 ORDER BY scheduled_at, queue, seq LIMIT ?2
