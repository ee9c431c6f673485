-- $1 ids uuid[], $2 queue or null, $3 age of cancelled records
SELECT c.state, c.done, c.why
FROM unnest($1::uuid[]) AS job CROSS JOIN LATERAL queuekit.cancel(job, $2, $3::bigint) AS c
