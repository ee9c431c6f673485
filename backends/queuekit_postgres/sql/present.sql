-- $1 process, $2 presence (JSON), $3 ttl
INSERT INTO queuekit.presences (process, presence, seen_at, ttl) VALUES ($1, $2, queuekit.now_us(), $3)
ON CONFLICT (process) DO UPDATE SET presence = excluded.presence, seen_at = excluded.seen_at, ttl = excluded.ttl
