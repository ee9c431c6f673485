-- ?1 seq, ?2 history
UPDATE jobs SET cancel_requested = 1, history = ?2 WHERE seq = ?1
