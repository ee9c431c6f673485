-- $1 process
SELECT queuekit.wake($1)
