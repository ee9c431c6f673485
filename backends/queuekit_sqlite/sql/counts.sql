-- Each state for itself, because each has an index of its own to count by.
SELECT queue, READY, count(*) FROM jobs WHERE state = READY GROUP BY queue
UNION ALL
SELECT queue, state, count(*) FROM jobs WHERE state > READY AND state < RUNNING GROUP BY queue, state
UNION ALL
SELECT queue, RUNNING, count(*) FROM jobs WHERE state = RUNNING GROUP BY queue
UNION ALL
SELECT queue, SUCCEEDED, count(*) FROM jobs WHERE state = SUCCEEDED GROUP BY queue
UNION ALL
SELECT queue, state, count(*) FROM jobs WHERE state > SUCCEEDED GROUP BY queue, state
