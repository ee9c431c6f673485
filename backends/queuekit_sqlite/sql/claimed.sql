-- The jobs just claimed, in the order of their places: one row for all, as in succeed.sql. What few jobs have is apart.
-- ?1 a JSON array of seqs, ?2 now
SELECT json_group_array(json_array(
    seq, hex(id), delivery, task, payload, attempt, max_attempts, lease,
    CASE
        WHEN lapses + crashes > 0 OR expires_at IS NOT NULL OR extra <> '' OR key IS NOT NULL OR keep_age IS NOT NULL
        THEN json_array(
            lapses, crashes, iif(attempt = 1, expires_at - ?2, NULL), extra, key IS NOT NULL OR keep_age IS NOT NULL
        )
    END
))
FROM (SELECT value AS place FROM json_each(?1)) CROSS JOIN jobs ON seq = place
