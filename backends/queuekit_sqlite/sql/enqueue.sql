-- ?1 id, ?2 task, ?3 payload, ?4 key, ?5 queue, ?6 state, ?7 predecessor, ?8 enqueued_at,
-- ?9... what the options say, in the order of `jobs.options`
INSERT INTO jobs (
    id, task, payload, key, queue, state, predecessor, enqueued_at,
    priority, max_attempts, scheduled_at, expires_at, own_lease, max_crashes, max_lapses,
    key_until, keep_age, keep_count, tags, extra
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
ON CONFLICT (id, queue) DO NOTHING
