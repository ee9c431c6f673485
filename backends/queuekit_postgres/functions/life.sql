-- What becomes of a job.

-- The state to which a running job comes without an ack: the table of queuekit/lifecycle.py. how: RETRIED, SNOOZED,
-- RELEASED or DIED; null: its lease lapsed. Lapses and crashes have this run in them.
CREATE OR REPLACE FUNCTION queuekit.becomes(
  how smallint, delay bigint, cancel_requested boolean, lapses smallint, max_lapses smallint, crashes smallint,
  max_crashes smallint
) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN how = DIED AND crashes >= max_crashes THEN FAILED::smallint
    WHEN cancel_requested THEN CANCELLED::smallint
    WHEN how IS NULL AND lapses >= max_lapses THEN FAILED::smallint
    WHEN how IN (RETRIED, SNOOZED) AND delay > 0 THEN SCHEDULED::smallint
    ELSE queuekit.ready(lapses)
  END
$$;

-- The one door out of running, but for plain successes in bulk (sql/settle.sql): puts the jobs of these runs back in
-- line, or ends them. Gives what became of those that were running.
-- seqs: sorted; hows: as each run was settled (see `settled` in 001_tables.sql), null where its lease lapsed; age: how long
-- records stay for which ages and counts say nothing else.
CREATE OR REPLACE FUNCTION queuekit.leave(
  seqs bigint[], deliveries bigint[], age bigint, hows smallint[] DEFAULT NULL, delays bigint[] DEFAULT NULL,
  failures text[] DEFAULT NULL, reasons text[] DEFAULT NULL, ages bigint[] DEFAULT NULL, counts integer[] DEFAULT NULL
) RETURNS SETOF queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  back queuekit.change[];
  ends queuekit.ending[];
BEGIN
  WITH gone AS (
    UPDATE queuekit.jobs j
    SET (state, seq, attempt, lapses, crashes, scheduled_at, errors, history, settled, settled_delivery) = (
      SELECT
        next.state,
        CASE WHEN next.state < RUNNING AND run.how IN (RETRIED, SNOOZED, DIED)
          THEN nextval('queuekit.jobs_seq_seq') ELSE j.seq END,
        CASE WHEN run.how = RETRIED THEN j.attempt ELSE j.attempt - 1 END,
        run.lapses,
        run.crashes,
        CASE WHEN next.state = SCHEDULED THEN queuekit.now_us() + delays[run.n] ELSE j.scheduled_at END,
        queuekit.noted(j.errors, queuekit.stamped(failures[run.n])),
        queuekit.noted(j.history, queuekit.event_of(run.how, j.delivery)),
        run.how,
        CASE WHEN run.how IS NOT NULL THEN j.delivery END
      FROM (
        SELECT n, hows[n] AS how,
          CASE WHEN hows[n] IS NULL THEN j.lapses + 1 ELSE j.lapses END::smallint AS lapses,
          CASE WHEN hows[n] = DIED THEN j.crashes + 1 ELSE j.crashes END::smallint AS crashes
        FROM (SELECT width_bucket(j.seq, seqs) AS n) AS given
      ) AS run
      CROSS JOIN LATERAL (
        SELECT queuekit.becomes(
          run.how, delays[run.n], j.cancel_requested, run.lapses, j.max_lapses, run.crashes, j.max_crashes
        ) AS state
      ) AS next
    ), claimant = NULL, leased_until = NULL, renewed_at = NULL
    WHERE j.seq = ANY(seqs) AND j.state + 0 = RUNNING AND j.delivery = deliveries[width_bucket(j.seq, seqs)]
      AND (hows[width_bucket(j.seq, seqs)] IN (FAILED, CANCELLED)) IS NOT TRUE
    RETURNING j.seq, j.queue, j.id, j.state, j.generation
  )
  SELECT
    array_agg((NULL, g.queue, g.id, RUNNING, g.state, g.generation, NULL, NULL, NULL, NULL)::queuekit.change)
      FILTER (WHERE g.state < RUNNING),
    array_agg((
      width_bucket(g.seq, seqs), g.seq, g.state, CASE g.state WHEN FAILED THEN 'crashed' END, age, NULL, NULL, NULL
    )::queuekit.ending) FILTER (WHERE g.state > RUNNING)
  INTO back, ends FROM gone g;
  IF back IS NOT NULL THEN
    PERFORM queuekit.ring(ARRAY(SELECT DISTINCT b.queue FROM unnest(back) AS b), cardinality(back));
  END IF;
  ends := ends || ARRAY(
    SELECT (n, seqs[n], hows[n], reasons[n], coalesce(ages[n], age), counts[n], deliveries[n], failures[n])::queuekit.ending
    FROM generate_subscripts(seqs, 1) AS n WHERE hows[n] IN (FAILED, CANCELLED)
  );
  RETURN QUERY SELECT * FROM unnest(back);
  IF cardinality(ends) > 0 THEN
    RETURN QUERY SELECT * FROM queuekit.finish(ends);
  END IF;
END
$$;

-- Ends jobs: with a delivery those that run under it, else whatever they are. Gives what became of them.
CREATE OR REPLACE FUNCTION queuekit.finish(ends queuekit.ending[]) RETURNS SETOF queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  sorted queuekit.ending[] := ARRAY(SELECT e FROM unnest(ends) AS e ORDER BY e.seq, e.delivery);
  seqs bigint[] := ARRAY(SELECT e.seq FROM unnest(sorted) AS e);
  deliveries bigint[] := ARRAY(SELECT e.delivery FROM unnest(sorted) AS e);
BEGIN
  RETURN QUERY WITH gone AS (
    DELETE FROM queuekit.jobs j
    WHERE j.seq = ANY(seqs) AND (
      deliveries[width_bucket(j.seq, seqs)] IS NULL
      OR j.delivery = deliveries[width_bucket(j.seq, seqs)] AND j.state + 0 = RUNNING
    )
    RETURNING j.*, sorted[width_bucket(j.seq, seqs)] AS ending, queuekit.now_us() AS now,
      EXISTS (SELECT FROM queuekit.waiters w WHERE w.id = j.id AND w.queue = j.queue)
        AND queuekit.tell(j.queue, j.id) AS awaited
  ), kept AS (
    INSERT INTO queuekit.records (
      kept_until, delivery, enqueued_at, scheduled_at, started_at, finished_at, expires_at, own_lease, settled_delivery,
      key_for, keep_age, id, origin, attempt, max_attempts, generation, keep_count, state, priority, lapses, crashes,
      max_lapses, max_crashes, settled, awaited, queue, task, payload, key, extra, progress, reason, tags, errors, history,
      logs
    )
    SELECT
      now + greatest(coalesce(keep_age, (ending).age), CASE WHEN awaited THEN KEEP_FOR_WAITERS ELSE 0 END), delivery,
      enqueued_at, scheduled_at, started_at, now, expires_at, own_lease, coalesce((ending).delivery, settled_delivery),
      key_for, keep_age, id, origin, attempt, max_attempts, generation,
      CASE WHEN keep_age IS NULL THEN (ending).count ELSE keep_count END,
      (ending).state, priority, lapses, crashes, max_lapses, max_crashes,
      CASE WHEN (ending).delivery IS NULL THEN settled ELSE (ending).state END, awaited, queue, task, payload,
      CASE WHEN key IS NOT NULL THEN queuekit.free_key(queue, key, id) END, extra, progress, (ending).reason, tags,
      queuekit.noted(errors, queuekit.stamped((ending).error)), history, logs
    FROM gone
  ), buried AS (
    INSERT INTO queuekit.copies AS c (id, queue, kind, generation, epoch, delivery, text)
    SELECT id, queue, 'done', generation, 0, 0, now::text FROM gone
    WHERE (SELECT EXISTS (SELECT FROM queuekit.gates))
      AND EXISTS (SELECT FROM queuekit.gates g WHERE g.queue = gone.queue)
    ON CONFLICT (id, queue) DO UPDATE
    SET kind = excluded.kind, generation = excluded.generation, epoch = 0, delivery = 0, text = excluded.text
    WHERE c.generation <= excluded.generation
  )
  SELECT (ending).n, queue, id, least(state, RUNNING::smallint), (ending).state, generation, NULL::text, NULL::uuid,
    CASE WHEN (ending).state = FAILED THEN task END, CASE WHEN (ending).state = FAILED THEN (ending).reason END
  FROM gone;
END
$$;

-- Ends one job that does not run.
CREATE OR REPLACE FUNCTION queuekit.finish_as_cancelled(job_seq bigint, age bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM queuekit.finish(ARRAY[(NULL, job_seq, CANCELLED, NULL, age, NULL, NULL, NULL)::queuekit.ending]);
END
$$;
