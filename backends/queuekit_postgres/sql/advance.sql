-- Promotes what is due, fails what has expired, hands out solitary jobs; how many (of the expired: which, or null), and
-- what time it is.
-- $1 queues text[], $2 age of failed records, $3 up to when that was done
SELECT
  queuekit.promote_due($1::text[], $3::bigint) AS promoted,
  queuekit.expire($1::text[], $2::bigint, $3::bigint) AS expired,
  queuekit.hand_out($1::text[]) AS handed_out,
  queuekit.now_us() AS now
