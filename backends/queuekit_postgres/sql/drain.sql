-- $1 queue, $2 limit, $3 age of cancelled records
SELECT queuekit.drain($1, $2::integer, $3::bigint)
