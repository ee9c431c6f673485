-- Remember the ids of finished jobs that go, if they are not old enough to be forgotten.
-- ?1 a JSON array of seqs, ?2 for how long, ?3 at least from this moment on, ?4 now
INSERT OR REPLACE INTO ids (id, queue, state, settled, settled_delivery, forget_at)
SELECT id, queue, state, settled, settled_delivery, max(finished_at, ?3) + ?2 FROM jobs
WHERE seq IN (SELECT value FROM json_each(?1)) AND max(finished_at, ?3) + ?2 > ?4
