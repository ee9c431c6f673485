-- name: maintain
-- Moves time on, in this order. What expired and what lapsed is null if nothing did.
-- $1 queues text[], $2 age of failed records, $3 up to when lapsed leases were dealt with, $4 how many records to prune at
-- most in the same step; 0: none, and nothing else either
SELECT
  queuekit.renew($1::text[]) AS renewed,
  queuekit.promote($1::text[], 0) AS promoted,
  (SELECT json_agg(e) FROM queuekit.expire($1::text[], $2::bigint, 0) AS e) AS expired,
  (SELECT json_agg(r) FROM queuekit.rescue($1::text[], $2::bigint, $3::bigint) AS r) AS rescued,
  queuekit.hand_out($1::text[]) AS handed_out,
  queuekit.follow_orphans($1::text[]) AS followed,
  queuekit.next_due($1::text[], 0) AS due_at,
  queuekit.again_at($1::text[], $3::bigint) AS again_at,
  CASE WHEN $4::integer > 0 THEN queuekit.trim_succeeded($1::text[], $4::integer) + queuekit.prune($1::text[]) END AS pruned,
  queuekit.now_us() AS now

-- name: prune
-- Cuts records to their count, removes what is past its time; how much.
-- $1 queues text[], $2 how many records at most
SELECT queuekit.trim_succeeded($1::text[], $2::integer) + queuekit.prune($1::text[])

-- name: make_partitions
-- Makes the partitions of the coming days, drops those of days gone by.
-- $1 how many days ahead
SELECT queuekit.make_partitions($1::integer)
