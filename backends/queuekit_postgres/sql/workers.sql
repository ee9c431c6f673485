SELECT presence, seen_at FROM queuekit.presences WHERE seen_at + ttl > queuekit.now_us() ORDER BY process
