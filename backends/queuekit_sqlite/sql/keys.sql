-- name: find_holder
-- The job that holds a key, and its seq (NULL: it is gone, the key protected still).
-- ?1 queue, ?2 key, ?3 now
SELECT keys.id, jobs.seq
FROM keys LEFT JOIN jobs ON jobs.id = keys.id AND jobs.queue = keys.queue
WHERE keys.queue = ?1 AND keys.key = ?2 AND (keys.until IS NULL OR keys.until > ?3);

-- name: take_key
-- ?1 queue, ?2 key, ?3 id, ?4 until
INSERT OR REPLACE INTO keys (queue, key, id, until) VALUES (?1, ?2, ?3, ?4);

-- name: free_key
-- A key that is kept until a moment stays.
-- ?1 queue, ?2 key, ?3 id
DELETE FROM keys WHERE queue = ?1 AND key = ?2 AND id = ?3 AND until IS NULL;

-- name: find_follower
-- ?1 queue, ?2 id of the job that it follows
SELECT seq FROM jobs WHERE follows IS NOT NULL AND follows = ?2 AND queue = ?1;
