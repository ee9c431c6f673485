-- Promotes what is due, fails what has expired, hands out solitary jobs; how many.
-- $1 queues text[], $2 age of failed records
SELECT
  queuekit.promote_due($1::text[]) AS promoted,
  queuekit.expire($1::text[], $2::bigint) AS expired,
  queuekit.hand_out($1::text[]) AS handed_out
