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
)
