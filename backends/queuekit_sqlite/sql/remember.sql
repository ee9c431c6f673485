-- Remember the id of a job that goes, if it is at the given point of its life.
-- ?1 seq, ?2 id, ?3 delivery, ?4 state; ?5 state at the end, ?6 forget_at, ?7 settled, ?8 settled_delivery
INSERT OR REPLACE INTO ids (id, queue, state, settled, settled_delivery, forget_at)
SELECT id, queue, ?5, ?7, ?8, ?6 FROM jobs
WHERE seq = ?1 AND id = ?2 AND delivery = ?3 AND +state = ?4
