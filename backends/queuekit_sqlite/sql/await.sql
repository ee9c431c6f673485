-- ?1 id, ?2 queue, ?3 address, ?4 until
INSERT OR REPLACE INTO waiters (id, queue, address, until) VALUES (?1, ?2, ?3, ?4)
