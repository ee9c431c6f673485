-- name: extend_lease
-- ?1 id, ?2 queue, ?3 delivery, ?4 now
UPDATE jobs SET leased_until = ?4 + lease, renewed_at = NULL
WHERE id = ?1 AND queue = ?2 AND delivery = ?3 AND +state = RUNNING;

-- name: find_running
-- ?1 id, ?2 queue, ?3 delivery
SELECT seq FROM jobs WHERE id = ?1 AND queue = ?2 AND delivery = ?3 AND +state = RUNNING;

-- name: find_cancelling
-- Running jobs that are asked to end.
SELECT id, queue, delivery FROM jobs WHERE cancel_requested = 1 AND state = RUNNING;

-- name: find_leases
-- ?1 claimant
SELECT queue, id, delivery, seq, key IS NOT NULL OR keep_age IS NOT NULL, generation, claim FROM jobs
WHERE state = RUNNING AND claimant = ?1;

-- name: register_presence
-- ?1 process, ?2 body, ?3 address, ?4 now, ?5 until
INSERT OR REPLACE INTO presences (process, body, address, seen_at, until) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: remove_presence
-- ?1 process
DELETE FROM presences WHERE process = ?1;
