-- name: find_sleepers
SELECT seq, process, address, queues FROM sleepers;

-- name: remove_sleeper
-- ?1 seq
DELETE FROM sleepers WHERE seq = ?1;

-- name: find_bells
-- Where to ring a process.
-- ?1 process
SELECT address FROM sleepers WHERE process = ?1
UNION
SELECT address FROM presences WHERE process = ?1;

-- name: remove_sleepers_of
-- ?1 process
DELETE FROM sleepers WHERE process = ?1;

-- name: find_waiters
-- Where to ring those who wait for a job's end.
-- ?1 id, ?2 queue, ?3 now
SELECT address FROM waiters WHERE id = ?1 AND queue = ?2 AND until > ?3;

-- name: remove_waiters
-- ?1 id, ?2 queue
DELETE FROM waiters WHERE id = ?1 AND queue = ?2;

-- name: find_awaited
-- The jobs for whose end somebody waits.
-- ?1 now
SELECT id, queue FROM waiters WHERE until > ?1;
