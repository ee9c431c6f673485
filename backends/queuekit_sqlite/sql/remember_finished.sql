-- Remember the id of a finished job that goes, if it is not old enough to be forgotten.
-- ?1 seq, ?2 for how long, ?3 at least from this moment on, ?4 now
INSERT OR REPLACE INTO ids (id, queue, code, settled, settled_delivery, forget_at)
SELECT id, queue, code, settled, settled_delivery, max(finished_at, ?3) + ?2 FROM jobs
WHERE seq = ?1 AND max(finished_at, ?3) + ?2 > ?4
