-- name: maintain
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

-- name: prune
-- Cuts records to their count, removes what is past its time; how much.
-- $1 queues text[], $2 how many records at most
SELECT queuekit.trim_succeeded($1::text[], $2::integer) + queuekit.prune()

-- name: turn_pages
-- Makes the partitions of the coming days, drops those of days gone by.
-- $1 how many days ahead
SELECT queuekit.turn_pages($1::integer)
