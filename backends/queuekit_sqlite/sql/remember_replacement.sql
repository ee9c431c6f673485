-- ?1 id, ?2 queue, ?3 forget_at
INSERT OR REPLACE INTO ids (id, queue, forget_at) VALUES (?1, ?2, ?3)
