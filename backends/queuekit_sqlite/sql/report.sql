-- ?1 seq, ?2 progress, ?3 logs
UPDATE jobs SET progress = ?2, logs = ?3 WHERE seq = ?1
