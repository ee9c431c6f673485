-- name: succeed
-- End plain successes whose jobs are at this point of their life: all in one step, because Python's sqlite3 gives the
-- interpreter away at each step and waits to get it back, once a job, while the event loop is busy.
-- ?1 a JSON array of texts: seq and delivery in 16 digits each, id in 32 hexadecimal ones, the result; ?2 now, ?3 kept_until
UPDATE jobs
SET
    state = SUCCEEDED, result = substr(ended.value, 65), finished_at = ?2, kept_until = ?3, settled = SUCCEEDED,
    settled_delivery = delivery, leased_until = NULL, lease = NULL, claimant = NULL, claim = NULL
FROM json_each(?1) AS ended
WHERE
    seq = CAST(substr(ended.value, 1, 16) AS INTEGER)
    AND delivery = CAST(substr(ended.value, 17, 16) AS INTEGER)
    AND hex(jobs.id) = substr(ended.value, 33, 32)
    AND +state = RUNNING;

-- name: find_settled
-- How the last run of a job that is gone was settled.
-- ?1 id, ?2 queue
SELECT settled, settled_delivery FROM ids WHERE id = ?1 AND queue = ?2;
