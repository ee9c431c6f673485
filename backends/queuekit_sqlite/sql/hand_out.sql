-- In each queue where no solitary job is out, the first of them becomes a suspect.
-- ?1 SOLITARY_AFTER
UPDATE jobs SET code = 1
WHERE
    code > 0 AND code < 6 AND code = 2
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS earlier
        WHERE
            earlier.code > 0 AND earlier.code < 6 AND earlier.code = 2 AND earlier.queue = jobs.queue
            AND (earlier.priority, earlier.seq) < (jobs.priority, jobs.seq)
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS out
        WHERE out.code > 0 AND out.code < 6 AND out.code = 1 AND out.queue = jobs.queue AND out.lapses >= ?1
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS out
        WHERE out.code = 6 AND out.queue = jobs.queue AND out.lapses >= ?1
    )
RETURNING queue
