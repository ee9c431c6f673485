-- ?1 queue
SELECT 1 FROM jobs WHERE code = 0 AND queue = ?1 LIMIT 1
