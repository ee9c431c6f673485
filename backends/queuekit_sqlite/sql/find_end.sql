-- The last job that `find` looked at; none if it saw the end.
-- ?1 after this id, ?2 in this queue, ?3 how many it looked at, less one
SELECT seq, id, queue FROM jobs
WHERE (id, queue) < (?1, ?2)
ORDER BY id DESC, queue DESC
LIMIT 1 OFFSET ?3
