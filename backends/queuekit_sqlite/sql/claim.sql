-- At most so many suspects first, then ready jobs up to the limit.
-- ?1 queue, ?2 suspects, ?3 limit, ?4 now, ?5 process, ?6 number, ?7 lease
WITH suspects AS MATERIALIZED (
    SELECT seq FROM jobs
    WHERE code > 0 AND code < 6 AND code = 1 AND queue = ?1
    ORDER BY priority, seq
    LIMIT ?2
)
UPDATE jobs
SET
    code = 6,
    attempt = attempt + 1,
    delivery = max(delivery + 1, ?4 / 1000),
    started_at = ?4,
    lease = coalesce(own_lease, ?7),
    leased_until = ?4 + coalesce(own_lease, ?7),
    process = ?5,
    number = ?6,
    renewed = 0
WHERE
    seq IN (
        SELECT seq FROM suspects
        UNION ALL
        SELECT seq FROM (
            SELECT seq FROM jobs
            WHERE code = 0 AND queue = ?1
            ORDER BY priority, seq
            LIMIT ?3 - (SELECT count(*) FROM suspects)
        )
    )
RETURNING
    lapses < 2, priority, seq, key IS NOT NULL OR keep_age IS NOT NULL, id, delivery,
    task, payload, attempt, max_attempts, lapses, crashes, lease, expires_at - ?4, extra
