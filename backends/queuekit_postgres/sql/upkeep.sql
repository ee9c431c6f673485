-- Moves time on, in this order.
-- $1 queues text[], $2 age of failed records
SELECT
  queuekit.tick() AS renewed,
  queuekit.promote_due($1::text[]) AS promoted,
  queuekit.expire($1::text[], $2::bigint) AS expired,
  queuekit.rescue($1::text[], $2::bigint) AS rescued,
  queuekit.hand_out($1::text[]) AS handed_out,
  queuekit.succeed_orphans($1::text[]) AS succeeded
