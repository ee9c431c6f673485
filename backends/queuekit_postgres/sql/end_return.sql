-- Ends one running job that can't go back: its cancellation was requested, or this death was its last.
-- $1 seq, $2 delivery, $3 kind, $4 error, $5 age of failed records
SELECT queuekit.end_return($1::bigint, $2::bigint, $3::smallint, $4::text, $5::bigint)
