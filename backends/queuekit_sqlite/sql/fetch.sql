-- name: find_ready
-- At most so many suspects first, then ready jobs up to the limit: a JSON array of their seqs.
-- ?1 queue, ?2 suspects, ?3 limit
WITH suspects AS MATERIALIZED (
    SELECT seq FROM jobs
    WHERE state > READY AND state < RUNNING AND state = SUSPECT AND queue = ?1
    ORDER BY priority, seq
    LIMIT ?2
)
SELECT json_group_array(seq) FROM (
    SELECT seq FROM suspects
    UNION ALL
    SELECT seq FROM (
        SELECT seq FROM jobs
        WHERE state = READY AND queue = ?1
        ORDER BY priority, seq
        LIMIT ?3 - (SELECT count(*) FROM suspects)
    )
);

-- name: claim
-- ?1 a JSON array of seqs, ?2 now, ?3 claimant, ?4 claim, ?5 lease
UPDATE jobs
SET
    state = RUNNING,
    attempt = attempt + 1,
    delivery = max(delivery + 1, ?2 / 1000),
    started_at = ?2,
    lease = coalesce(own_lease, ?5),
    leased_until = ?2 + coalesce(own_lease, ?5),
    claimant = ?3,
    claim = ?4,
    renewed_at = NULL
WHERE seq IN (SELECT value FROM json_each(?1));

-- name: read_claimed
-- The jobs just claimed, in the order of the array: one row for all, as in `succeed`. What few jobs have is apart.
-- ?1 a JSON array of seqs, ?2 now
SELECT json_group_array(json_array(
    seq, hex(id), delivery, task, payload, attempt, max_attempts, lease,
    CASE
        WHEN lapses + crashes + generation > 0 OR expires_at IS NOT NULL OR extra <> '' OR key IS NOT NULL OR keep_age IS NOT NULL
        THEN json_array(
            lapses, crashes, generation, iif(attempt = 1, expires_at - ?2, NULL), extra,
            key IS NOT NULL OR keep_age IS NOT NULL, iif(key_until = 'started', key, NULL)
        )
    END
))
FROM (SELECT value AS wanted FROM json_each(?1)) CROSS JOIN jobs ON seq = wanted;
