-- Each code for itself, because each has an index of its own to count by.
SELECT queue, 0, count(*) FROM jobs WHERE code = 0 GROUP BY queue
UNION ALL
SELECT queue, code, count(*) FROM jobs WHERE code > 0 AND code < 6 GROUP BY queue, code
UNION ALL
SELECT queue, 6, count(*) FROM jobs WHERE code = 6 GROUP BY queue
UNION ALL
SELECT queue, 7, count(*) FROM jobs WHERE code = 7 GROUP BY queue
UNION ALL
SELECT queue, code, count(*) FROM jobs WHERE code > 7 GROUP BY queue, code
