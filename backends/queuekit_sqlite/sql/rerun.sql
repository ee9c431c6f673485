-- A finished job becomes ready, at the end of the line.
-- ?1 seq, ?2 new seq, ?3 history
UPDATE jobs
SET
    seq = ?2, state = READY, attempt = 0, lapses = 0, crashes = 0, generation = generation + 1, history = ?3,
    started_at = NULL, finished_at = NULL, kept_until = NULL, spared_until = NULL, scheduled_at = NULL,
    expires_at = NULL, cancel_requested = 0, result = NULL, reason = NULL, progress = NULL
WHERE seq = ?1
