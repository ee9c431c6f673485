-- ?1 process, ?2 body, ?3 address, ?4 now, ?5 until
INSERT OR REPLACE INTO presences (process, body, address, seen_at, until) VALUES (?1, ?2, ?3, ?4, ?5)
