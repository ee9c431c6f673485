-- Running jobs that are asked to end.
SELECT id, queue, delivery FROM jobs WHERE cancel_requested = 1 AND state = RUNNING
