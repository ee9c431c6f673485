-- Rings one process, and takes its row as a sleeper, which it misses when it looks again should the bell be lost.
-- $1 process
WITH woken AS (DELETE FROM queuekit.sleepers WHERE process = $1)
SELECT pg_notify(queuekit.bell($1), '')
