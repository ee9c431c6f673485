-- The job that holds a key, and its state (NULL: it is gone, the key protected still).
-- ?1 queue, ?2 key, ?3 now
SELECT keys.id, jobs.seq, jobs.state
FROM keys LEFT JOIN jobs ON jobs.id = keys.id AND jobs.queue = keys.queue
WHERE keys.queue = ?1 AND keys.key = ?2 AND (keys.until IS NULL OR keys.until > ?3)
