-- What a job has replaced, while that still has its payload: state and id.
-- ?1 queue, ?2 key, ?3 id of the job
SELECT jobs.state, jobs.id FROM keys
JOIN jobs ON jobs.queue = keys.queue AND (jobs.id = keys.id OR jobs.predecessor = keys.id)
WHERE keys.queue = ?1 AND keys.key = ?2 AND jobs.origin = ?3
