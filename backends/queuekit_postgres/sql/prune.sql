-- $1 queues text[], $2 how many records at most
SELECT queuekit.trim_succeeded($1::text[], $2::integer) + queuekit.prune()
