-- When the next scheduled job of some queues is due.
-- ?1 a JSON array of the queues
SELECT scheduled_at FROM jobs
WHERE state = SCHEDULED AND queue IN (SELECT value FROM json_each(?1))
ORDER BY scheduled_at
LIMIT 1
