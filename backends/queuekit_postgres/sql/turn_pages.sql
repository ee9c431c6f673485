-- $1 how many days ahead
SELECT queuekit.turn_pages($1::integer)
