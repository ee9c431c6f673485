-- name: read_report
-- ?1 seq
SELECT progress, logs FROM jobs WHERE seq = ?1;

-- name: write_report
-- ?1 seq, ?2 progress, ?3 logs
UPDATE jobs SET progress = ?2, logs = ?3 WHERE seq = ?1;
