-- ?1 seq, ?2 new seq, ?3 code
UPDATE jobs SET seq = ?2, code = ?3 WHERE seq = ?1
