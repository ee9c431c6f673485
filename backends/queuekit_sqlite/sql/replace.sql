-- A job that has not begun becomes another one, at another place in line.
-- ?1 seq, ?2 new seq, ?3 state, ?4 task, ?5 payload, ?6... what the options say; ?18 the id of the other one
UPDATE jobs
SET
    seq = ?2, state = ?3, task = ?4, payload = ?5,
    priority = ?6, max_attempts = ?7, scheduled_at = ?8, expires_at = ?9, own_lease = ?10,
    max_crashes = ?11, max_lapses = ?12, key_until = ?13, keep_age = ?14, keep_count = ?15,
    tags = ?16, extra = ?17, origin = ?18
WHERE seq = ?1
