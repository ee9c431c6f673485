-- ?1 queue, ?2 key, ?3 id, ?4 until
INSERT OR REPLACE INTO keys (queue, key, id, until) VALUES (?1, ?2, ?3, ?4)
