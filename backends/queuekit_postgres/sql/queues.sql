-- How many jobs each queue holds by state; a paused queue has a row of its own, with a null state.
SELECT queue, state, count(*) AS jobs, false AS paused FROM queuekit.entries GROUP BY queue, state
UNION ALL
SELECT name, NULL, 0, true FROM queuekit.queues WHERE paused
ORDER BY queue
