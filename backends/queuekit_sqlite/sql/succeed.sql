-- End runs without peculiarities, if their jobs are at this point of their life.
-- ?1 seq, ?2 id, ?3 delivery; ?4 result, ?5 now, ?6 kept_until
UPDATE jobs
SET
    code = 7, result = ?4, finished_at = ?5, kept_until = ?6, settled = 7, settled_delivery = ?3,
    leased_until = NULL, lease = NULL, process = NULL, number = NULL
WHERE seq = ?1 AND id = ?2 AND delivery = ?3 AND +code = 6
