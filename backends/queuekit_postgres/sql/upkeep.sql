-- Moves time on, in this order. What expired and what was rescued is null if there are none.
-- $1 queues text[], $2 age of failed records, $3 up to when lapsed leases were dealt with
SELECT
  queuekit.tick() AS renewed,
  queuekit.promote_due($1::text[], 0) AS promoted,
  queuekit.expire($1::text[], $2::bigint, 0) AS expired,
  queuekit.rescue($1::text[], $2::bigint, $3::bigint) AS rescued,
  queuekit.hand_out($1::text[]) AS handed_out,
  queuekit.succeed_orphans($1::text[]) AS succeeded,
  queuekit.now_us() AS now
