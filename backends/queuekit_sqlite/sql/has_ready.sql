-- ?1 queue
SELECT 1 FROM jobs WHERE state = READY AND queue = ?1 LIMIT 1
