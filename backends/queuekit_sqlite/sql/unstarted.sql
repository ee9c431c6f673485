-- Ready and scheduled jobs.
-- ?1 queue, ?2 limit
SELECT seq FROM (SELECT seq FROM jobs WHERE code = 0 AND queue = ?1 LIMIT ?2)
UNION ALL
SELECT seq FROM (SELECT seq FROM jobs WHERE code > 0 AND code < 6 AND queue = ?1 AND code IN (1, 2, 3) LIMIT ?2)
LIMIT ?2
