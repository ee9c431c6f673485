-- Whether a sleeper has not been rung yet.
-- ?1 seq
SELECT 1 FROM sleepers WHERE seq = ?1
