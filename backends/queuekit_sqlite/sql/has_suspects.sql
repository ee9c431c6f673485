-- ?1 queue
SELECT 1 FROM jobs WHERE code > 0 AND code < 6 AND code = 1 AND queue = ?1 LIMIT 1
