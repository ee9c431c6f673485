-- $1 ids uuid[], $2 queue or null
SELECT c.state, c.done, c.why FROM unnest($1::uuid[]) AS job CROSS JOIN LATERAL queuekit.promote(job, $2) AS c
