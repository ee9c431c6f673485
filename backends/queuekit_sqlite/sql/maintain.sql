-- name: tick
-- ?1 a JSON array of the queues, ?2 now
INSERT OR REPLACE INTO ticks (queue, last) SELECT value, ?2 FROM json_each(?1);

-- name: renew
-- After an outage: the lease of jobs whose lease is shorter than three times the gap since the last tick of their queue
-- lasts longer (`queuekit.backend.model.spared_until`); again only if their owner was heard meanwhile, by a heartbeat or
-- a claim.
-- ?1 a JSON array of the queues, ?2 now
UPDATE jobs SET leased_until = max(leased_until, ?2 + min(lease, lease / 2 + HEARD_WITHIN)), renewed_at = ?2
FROM ticks, (
    SELECT claimant, max(leased_until - lease) FILTER (WHERE renewed_at IS NULL) AS heard_at FROM jobs
    WHERE state = RUNNING
    GROUP BY claimant
) AS owner
WHERE
    jobs.state = RUNNING AND owner.claimant = jobs.claimant
    AND ticks.queue = jobs.queue AND ticks.queue IN (SELECT value FROM json_each(?1)) AND jobs.lease < 3 * (?2 - ticks.last)
    AND (jobs.renewed_at IS NULL OR jobs.renewed_at < owner.heard_at);

-- name: find_lapsed
-- ?1 a JSON array of the queues, ?2 now, ?3 limit
SELECT seq FROM jobs
WHERE state = RUNNING AND leased_until <= ?2 AND +queue IN (SELECT value FROM json_each(?1))
ORDER BY leased_until
LIMIT ?3;

-- name: find_next_end
-- When the first lease runs out, or the first job expires.
-- ?1 a JSON array of the queues
SELECT min(at) FROM (
    SELECT (SELECT leased_until FROM jobs WHERE state = RUNNING AND +queue = served.value ORDER BY leased_until LIMIT 1) AS at
    FROM json_each(?1) AS served
    UNION ALL
    SELECT (
        SELECT expires_at FROM jobs
        WHERE expires_at IS NOT NULL AND state < WAITING AND attempt = 0 AND queue = served.value
        ORDER BY expires_at LIMIT 1
    )
    FROM json_each(?1) AS served
);

-- name: hand_out_solitary
-- In each of some queues where no solitary job is out, the first of them becomes a suspect.
-- ?1 a JSON array of the queues
UPDATE jobs SET state = SUSPECT
WHERE
    state > READY AND state < RUNNING AND state = SOLITARY AND queue IN (SELECT value FROM json_each(?1))
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

-- name: find_unserved
-- Queues that hold a job or a record and that no present process serves. From one queue to the next of each index: that
-- takes a few steps, however many jobs there are. Running jobs and kinds of succeeded ones are few.
-- ?1 now
WITH RECURSIVE
ready (queue) AS (
    SELECT min(queue) FROM jobs WHERE state = READY
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE state = READY AND queue > ready.queue) FROM ready WHERE queue IS NOT NULL
),
aside (state, queue) AS (
    VALUES (SUSPECT, ''), (SOLITARY, ''), (SCHEDULED, ''), (BLOCKED, ''), (WAITING, '')
    UNION ALL
    SELECT state, (
        SELECT min(queue) FROM jobs
        WHERE jobs.state > READY AND jobs.state < RUNNING AND jobs.state = aside.state AND queue > aside.queue
    )
    FROM aside WHERE queue IS NOT NULL
),
failed (queue) AS (
    SELECT min(queue) FROM jobs WHERE state > SUCCEEDED
    UNION ALL
    SELECT (SELECT min(queue) FROM jobs WHERE state > SUCCEEDED AND queue > failed.queue) FROM failed WHERE queue IS NOT NULL
)
SELECT queue FROM (
    SELECT queue FROM ready
    UNION
    SELECT queue FROM aside
    UNION
    SELECT queue FROM jobs WHERE state = RUNNING
    UNION
    SELECT queue FROM kinds
    UNION
    SELECT queue FROM failed
)
WHERE
    queue > ''
    AND queue NOT IN (
        SELECT served.value FROM presences, json_each(presences.body, '$.queues') AS served WHERE presences.until > ?1
    );

-- name: forget_ticks
-- Of queues where nothing runs.
-- ?1 now
DELETE FROM ticks
WHERE last < ?1 - 3600000000 AND queue NOT IN (SELECT queue FROM jobs WHERE state = RUNNING);

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
