-- The order in line, and who stands in it.

-- The state of a job that may run now.
CREATE OR REPLACE FUNCTION queuekit.ready(lapses smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
  SELECT (CASE WHEN lapses < SUSPECT_AFTER THEN READY WHEN lapses < SOLITARY_AFTER THEN SUSPECT ELSE SOLITARY END)::smallint
$$;

CREATE OR REPLACE FUNCTION queuekit.ready_or_scheduled(lapses smallint, due bigint) RETURNS smallint LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN due > queuekit.now_us() THEN SCHEDULED::smallint ELSE queuekit.ready(lapses) END
$$;

-- Puts jobs at the end of the line, in the order given.
CREATE OR REPLACE FUNCTION queuekit.make_ready(seqs bigint[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  last bigint[] := ARRAY(SELECT nextval('queuekit.jobs_seq_seq') FROM generate_subscripts(seqs, 1));
BEGIN
  UPDATE queuekit.jobs
  SET state = queuekit.ready(lapses), seq = last[array_position(seqs, seq)]
  WHERE seq = ANY(seqs);
END
$$;

-- Makes due jobs ready, in the order in which they were due; how many. since: as in maintain.sql.
CREATE OR REPLACE FUNCTION queuekit.promote(queues text[], since bigint) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  due bigint[] := ARRAY(
    SELECT j.seq FROM unnest(queues) AS q (name) CROSS JOIN LATERAL (
      SELECT s.seq, s.scheduled_at FROM queuekit.jobs s
      WHERE s.state = SCHEDULED AND s.queue = q.name AND s.scheduled_at > since AND s.scheduled_at <= queuekit.now_us()
      ORDER BY s.scheduled_at, s.seq LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) AS j
    ORDER BY j.scheduled_at, j.seq
  );
BEGIN
  IF due <> '{}' THEN
    PERFORM queuekit.make_ready(due), queuekit.ring(queues, cardinality(due));
  END IF;
  RETURN cardinality(due);
END
$$;

-- Hands out one solitary job a queue, if none is out; under a lock, as two at once would hand out two.
CREATE OR REPLACE FUNCTION queuekit.hand_out(queues text[]) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  handed integer;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('queuekit.hand_out', 0)) THEN
    RETURN 0;
  END IF;
  UPDATE queuekit.jobs SET state = SUSPECT WHERE seq = ANY(ARRAY(
    SELECT s.seq FROM unnest(queues) AS q (name) CROSS JOIN LATERAL (
      SELECT j.seq FROM queuekit.jobs j
      WHERE j.lapses >= SOLITARY_AFTER AND j.queue = q.name AND j.state = SOLITARY
      ORDER BY j.priority, j.seq LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AS s
    WHERE NOT EXISTS (
      SELECT FROM queuekit.jobs o WHERE o.lapses >= SOLITARY_AFTER AND o.queue = q.name AND o.state IN (SUSPECT, RUNNING)
    )
  ));
  GET DIAGNOSTICS handed = ROW_COUNT;
  IF handed > 0 THEN
    PERFORM queuekit.ring(queues, handed);
  END IF;
  RETURN handed;
END
$$;
