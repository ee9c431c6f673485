-- In each queue where no solitary job is out, the first of them becomes a suspect.
UPDATE jobs SET state = SUSPECT
WHERE
    state > READY AND state < RUNNING AND state = SOLITARY
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS earlier
        WHERE
            earlier.state > READY AND earlier.state < RUNNING AND earlier.state = SOLITARY AND earlier.queue = jobs.queue
            AND (earlier.priority, earlier.seq) < (jobs.priority, jobs.seq)
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS out
        WHERE out.state > READY AND out.state < RUNNING AND out.state = SUSPECT AND out.queue = jobs.queue AND out.lapses >= SOLITARY_AFTER
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS out
        WHERE out.state = RUNNING AND out.queue = jobs.queue AND out.lapses >= SOLITARY_AFTER
    )
RETURNING queue
