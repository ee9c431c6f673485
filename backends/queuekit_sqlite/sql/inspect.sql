-- name: locate
-- The queue of an id; of the job that was enqueued last if it is in several.
-- ?1 id, ?2 now
SELECT queue FROM jobs WHERE id = ?1 AND (kept_until IS NULL OR kept_until > ?2) ORDER BY enqueued_at DESC LIMIT 1;

-- name: find_page
-- A page of jobs, the newest ids first; only so many are looked at.
-- ?1 after this id, ?2 in this queue, ?3 at most so many are looked at, ?4 at most so many are answered;
-- lists (as JSON arrays) and values, NULL: any: ?5 queues, ?6 tasks, ?7 codes, ?8 tags, ?9 since,
-- ?10 a part of the last error; ?11 now
WITH page AS (
    SELECT
        id, queue, task, state, enqueued_at, kept_until, tags,
        iif(?10 IS NULL, NULL, json_extract(errors, '$[#-1]')) AS last_error
    FROM jobs
    WHERE (id, queue) < (?1, ?2)
    ORDER BY id DESC, queue DESC
    LIMIT ?3
)
SELECT id, queue FROM page
WHERE
    (kept_until IS NULL OR kept_until > ?11)
    AND (?5 IS NULL OR queue IN (SELECT value FROM json_each(?5)))
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
LIMIT ?4;

-- name: find_page_end
-- The last job that `find_page` looked at; none if it saw the end.
-- ?1 after this id, ?2 in this queue, ?3 how many it looked at, less one
SELECT id, queue FROM jobs
WHERE (id, queue) < (?1, ?2)
ORDER BY id DESC, queue DESC
LIMIT 1 OFFSET ?3;

-- name: count_jobs
-- Each state for itself, because each has an index of its own to count by.
SELECT queue, READY, count(*) FROM jobs WHERE state = READY GROUP BY queue
UNION ALL
SELECT queue, state, count(*) FROM jobs WHERE state > READY AND state < RUNNING GROUP BY queue, state
UNION ALL
SELECT queue, RUNNING, count(*) FROM jobs WHERE state = RUNNING GROUP BY queue
UNION ALL
SELECT queue, SUCCEEDED, count(*) FROM jobs WHERE state = SUCCEEDED GROUP BY queue
UNION ALL
SELECT queue, state, count(*) FROM jobs WHERE state > SUCCEEDED GROUP BY queue, state;

-- name: find_presences
-- ?1 now
SELECT body, seen_at FROM presences WHERE until > ?1 ORDER BY process;

-- name: request_cancel
-- ?1 seq, ?2 history
UPDATE jobs SET cancel_requested = 1, history = ?2 WHERE seq = ?1;

-- name: pause
-- ?1 queue
INSERT OR IGNORE INTO pauses (queue) VALUES (?1);

-- name: resume
-- ?1 queue
DELETE FROM pauses WHERE queue = ?1;
