-- Extends leases by their own length; gives those that are still held, and whether a cancellation was requested.
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[]
UPDATE queuekit.jobs j
SET leased_until = (SELECT queuekit.now_us()) + j.lease, renewed_at = NULL
WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
  AND j.delivery = ($2::bigint[])[width_bucket(j.seq, $1::bigint[])]
RETURNING j.seq, j.delivery, j.cancel_requested
