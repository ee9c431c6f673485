-- ?1 seq, ?2 new seq, ?3 state
UPDATE jobs SET seq = ?2, state = ?3 WHERE seq = ?1
