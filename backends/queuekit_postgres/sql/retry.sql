-- Puts running jobs back, but for those that end by it (see end_return.sql).
-- $1 seqs bigint[] (sorted), $2 deliveries bigint[], $3 kinds smallint[] (RETRIED, SNOOZED, RELEASED or DIED),
-- $4 delays bigint[], $5 errors text[], $6 queues to ring text[]
WITH back AS (
  UPDATE queuekit.jobs j
  SET (state, seq, attempt, crashes, scheduled_at, errors, history, settled, settled_delivery) = (
    SELECT
      queuekit.ready_or_scheduled(j.lapses, given.due),
      CASE WHEN given.kind = RELEASED THEN j.seq ELSE nextval('queuekit.jobs_seq_seq') END,
      CASE WHEN given.kind = RETRIED THEN j.attempt ELSE j.attempt - 1 END,
      CASE WHEN given.kind = DIED THEN j.crashes + 1 ELSE j.crashes END,
      coalesce(given.due, j.scheduled_at),
      queuekit.noted(j.errors, queuekit.stamped(given.error)),
      queuekit.noted(j.history, queuekit.came_back(given.kind, j.delivery)),
      given.kind,
      j.delivery
    FROM (
      SELECT
        ($3::smallint[])[p.n] AS kind,
        queuekit.now_us() + nullif(($4::bigint[])[p.n], 0) AS due,
        ($5::text[])[p.n] AS error
      FROM (SELECT width_bucket(j.seq, $1::bigint[]) AS n) AS p
    ) AS given
  ), claimant = NULL, leased_until = NULL, renewed_at = NULL
  WHERE j.seq = ANY($1::bigint[]) AND j.state + 0 = RUNNING
    AND j.delivery = ($2::bigint[])[width_bucket(j.seq, $1::bigint[])]
    AND NOT j.cancel_requested
    AND NOT (($3::smallint[])[width_bucket(j.seq, $1::bigint[])] = DIED AND j.crashes + 1 >= j.max_crashes)
  RETURNING settled_delivery, id, queue
), rung AS MATERIALIZED (
  SELECT queuekit.ring($6::text[], cardinality($1::bigint[]))
)
SELECT back.* FROM rung CROSS JOIN back
