-- Whole jobs that come from elsewhere.

-- Stores jobs, no two of one id; gives what was refused. given: a JSON array of objects with all columns of the job or
-- record, and those of the type `arrival`. Waiting ones come last, as the jobs that they follow may be among these.
CREATE OR REPLACE FUNCTION queuekit.transfer(given jsonb) RETURNS SETOF queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  arrivals queuekit.arrival[] := ARRAY(SELECT a FROM jsonb_populate_recordset(NULL::queuekit.arrival, given) AS a);
  refused queuekit.change[];
BEGIN
  refused := ARRAY(
    SELECT (a.n, k.queue, k.id, k.found, k.now, k.generation, k.refused, k.holder, k.task, k.reason)::queuekit.change
    FROM unnest(arrivals) AS a CROSS JOIN LATERAL queuekit.known(a.id, a.queue) AS k WHERE k.id IS NOT NULL
  );
  RETURN QUERY SELECT * FROM unnest(refused);
  RETURN QUERY SELECT * FROM queuekit.arrive(given, queuekit.others(arrivals, refused));
END
$$;

-- The same for those whose ids are not known.
CREATE OR REPLACE FUNCTION queuekit.arrive(given jsonb, arrivals queuekit.arrival[]) RETURNS SETOF queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  takers queuekit.arrival[];
  refused queuekit.change[];
BEGIN
  takers := ARRAY(SELECT a FROM unnest(arrivals) AS a WHERE a.holds AND (a.key_until > now) IS NOT FALSE);
  INSERT INTO queuekit.keys AS k (queue, key, id, expires_at)
  SELECT DISTINCT ON (t.queue, t.key) t.queue, t.key, t.id, t.key_until FROM unnest(takers) AS t
  ORDER BY t.queue, t.key, t.n
  ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id, expires_at = excluded.expires_at
  WHERE k.expires_at <= now OR k.expires_at IS NULL AND NOT queuekit.is_there(k.id, k.queue);
  refused := ARRAY(
    SELECT (t.n, t.queue, t.id, NULL, NULL, 0, 'key held', k.id, NULL, NULL)::queuekit.change
    FROM unnest(takers) AS t JOIN queuekit.keys k ON k.queue = t.queue AND k.key = t.key AND k.id <> t.id
  );
  arrivals := queuekit.others(arrivals, refused);
  RETURN QUERY SELECT * FROM unnest(refused);

  INSERT INTO queuekit.records
  SELECT r.* FROM unnest(arrivals) AS a CROSS JOIN LATERAL jsonb_populate_record(
    NULL::queuekit.records,
    given -> (a.n - 1) || jsonb_build_object('awaited', false, 'kept_until', greatest(now, a.kept_until))
  ) AS r
  WHERE a.state > RUNNING;
  PERFORM queuekit.line_up(given, ARRAY(SELECT a FROM unnest(arrivals) AS a WHERE a.state <= RUNNING AND a.state <> WAITING));
  refused := ARRAY(
    SELECT (a.n, a.queue, a.id, NULL, NULL, 0, 'gone', a.follows, NULL, NULL)::queuekit.change
    FROM unnest(arrivals) AS a WHERE a.state = WAITING AND NOT EXISTS (
      SELECT FROM queuekit.jobs j WHERE j.id = a.follows AND j.queue = a.queue AND j.state = RUNNING
    )
  );
  arrivals := queuekit.others(arrivals, refused);
  RETURN QUERY SELECT * FROM unnest(refused);
  refused := ARRAY(
    SELECT (a.n, a.queue, a.id, NULL, NULL, 0, 'key held', before.id, NULL, NULL)::queuekit.change
    FROM unnest(arrivals) AS a CROSS JOIN LATERAL (
      SELECT j.id, 0 AS n FROM queuekit.jobs j WHERE j.queue = a.queue AND j.key = a.key AND j.state = WAITING
      UNION ALL
      SELECT b.id, b.n FROM unnest(arrivals) AS b
      WHERE b.queue = a.queue AND b.key = a.key AND b.state = WAITING AND b.n < a.n
      ORDER BY n LIMIT 1
    ) AS before
    WHERE a.state = WAITING
  );
  arrivals := queuekit.others(arrivals, refused);
  RETURN QUERY SELECT * FROM unnest(refused);
  PERFORM queuekit.line_up(given, ARRAY(SELECT a FROM unnest(arrivals) AS a WHERE a.state = WAITING));
  PERFORM queuekit.ring(array_agg(a.queue), count(*)) FROM unnest(arrivals) AS a WHERE a.state <= SCHEDULED;
END
$$;

-- Those that were not refused.
CREATE OR REPLACE FUNCTION queuekit.others(arrivals queuekit.arrival[], refused queuekit.change[]) RETURNS queuekit.arrival[]
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN cardinality(refused) = 0 THEN arrivals ELSE ARRAY(
    SELECT a FROM unnest(arrivals) AS a WHERE a.n <> ALL(ARRAY(SELECT r.n FROM unnest(refused) AS r))
  ) END
$$;

-- Stores live ones at the end of the line, in their order.
CREATE OR REPLACE FUNCTION queuekit.line_up(given jsonb, arrivals queuekit.arrival[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO queuekit.jobs
  SELECT j.* FROM (SELECT a.n FROM unnest(arrivals) AS a ORDER BY a.n) AS arrival
  CROSS JOIN LATERAL jsonb_populate_record(
    NULL::queuekit.jobs, given -> (arrival.n - 1) || jsonb_build_object('seq', nextval('queuekit.jobs_seq_seq'))
  ) AS j
$$;
