-- ?1 now
SELECT body, seen_at FROM presences WHERE until > ?1 ORDER BY process
