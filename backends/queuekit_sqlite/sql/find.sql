-- A page of jobs, the newest ids first; only so many are looked at.
-- ?1 after this id, ?2 in this queue, ?3 at most so many are looked at, ?4 at most so many are answered;
-- lists (as JSON arrays) and values, NULL: any: ?5 queues, ?6 tasks, ?7 codes, ?8 tags, ?9 since,
-- ?10 a part of the last error
WITH page AS (
    SELECT
        seq, id, queue, task, state, enqueued_at, tags,
        iif(?10 IS NULL, NULL, substr(errors, 1, instr(errors || char(10), char(10)) - 1)) AS last_error
    FROM jobs
    WHERE (id, queue) < (?1, ?2)
    ORDER BY id DESC, queue DESC
    LIMIT ?3
)
SELECT seq, id, queue FROM page
WHERE
    (?5 IS NULL OR queue IN (SELECT value FROM json_each(?5)))
    AND (?6 IS NULL OR task IN (SELECT value FROM json_each(?6)))
    AND (?7 IS NULL OR state IN (SELECT value FROM json_each(?7)))
    AND (
        ?8 IS NULL
        OR NOT EXISTS (SELECT value FROM json_each(?8) EXCEPT SELECT value FROM json_each(coalesce(tags, '[]')))
    )
    AND (?9 IS NULL OR enqueued_at >= ?9)
    AND (
        ?10 IS NULL
        OR instr(iif(
            json_valid(last_error),
            json_extract(last_error, '$.type') || ': ' || json_extract(last_error, '$.message'), last_error
        ), ?10) > 0
    )
ORDER BY id DESC, queue DESC
LIMIT ?4
