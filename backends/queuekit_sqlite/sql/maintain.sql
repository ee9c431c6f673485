-- name: read_tick
SELECT last FROM ticks;

-- name: tick
-- ?1 now
UPDATE ticks SET last = ?1;

-- name: renew
-- After an outage: a fresh lease for jobs whose lease is shorter than three times the gap; a second one only if their
-- owner was heard meanwhile, by a heartbeat or a claim.
-- ?1 now, ?2 the gap since the last tick
UPDATE jobs SET leased_until = ?1 + lease, renewed_at = ?1
FROM (
    SELECT claimant, max(leased_until - lease) FILTER (WHERE renewed_at IS NULL) AS heard_at FROM jobs
    WHERE state = RUNNING
    GROUP BY claimant
) AS owner
WHERE jobs.state = RUNNING AND owner.claimant = jobs.claimant AND jobs.lease < 3 * ?2
    AND (jobs.renewed_at IS NULL OR jobs.renewed_at < owner.heard_at);

-- name: find_lapsed
-- ?1 now, ?2 limit
SELECT seq FROM jobs WHERE state = RUNNING AND leased_until <= ?1 ORDER BY leased_until LIMIT ?2;

-- name: hand_out_solitary
-- In each queue where no solitary job is out, the first of them becomes a suspect.
UPDATE jobs SET state = SUSPECT
WHERE
    state > READY AND state < RUNNING AND state = SOLITARY
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS earlier
        WHERE
            earlier.state > READY AND earlier.state < RUNNING AND earlier.state = SOLITARY AND earlier.queue = jobs.queue
            AND (earlier.priority, earlier.seq) < (jobs.priority, jobs.seq)
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS out
        WHERE out.state > READY AND out.state < RUNNING AND out.state = SUSPECT AND out.queue = jobs.queue AND out.lapses >= SOLITARY_AFTER
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS out
        WHERE out.state = RUNNING AND out.queue = jobs.queue AND out.lapses >= SOLITARY_AFTER
    )
RETURNING queue;

-- name: forget_keys
-- ?1 now
DELETE FROM keys WHERE until <= ?1;

-- name: forget_presences
-- ?1 now
DELETE FROM presences WHERE until <= ?1;

-- name: forget_sleepers
-- ?1 now
DELETE FROM sleepers WHERE until <= ?1;

-- name: forget_waiters
-- ?1 now
DELETE FROM waiters WHERE until <= ?1;
