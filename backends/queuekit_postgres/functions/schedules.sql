-- Recurring work.

-- Those queues whose schedules tick here: not in a cutover, or at its active side.
CREATE OR REPLACE FUNCTION queuekit.ticking(queues text[]) RETURNS text[] LANGUAGE sql VOLATILE AS $$
  SELECT ARRAY(
    SELECT q FROM unnest(queues) AS q
    WHERE NOT EXISTS (SELECT FROM queuekit.gates g WHERE g.queue = q AND NOT g.active)
  )
$$;

-- When the first schedule of some queues is due, after so many that are due already.
CREATE OR REPLACE FUNCTION queuekit.next_due(queues text[], beyond integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT first.due_at FROM unnest(queuekit.ticking(queues)) AS q (name) CROSS JOIN LATERAL (
    SELECT s.due_at FROM queuekit.schedules s
    WHERE s.due_at IS NOT NULL AND NOT s.paused AND s.queue = q.name
    ORDER BY s.due_at LIMIT beyond + 1
  ) AS first
  ORDER BY first.due_at LIMIT 1 OFFSET beyond
$$;

-- Stores the jobs of ticks that are due and moves their schedules on. Gives the places of those for which that was done, each
-- with null and with what became of the jobs that were not just stored, by their places.
-- firings: a JSON array of objects with queue, name, rule, tick, next_tick, next_at, and jobs: objects with tick, and id,
-- task, payload, key and options if there is a job to store.
CREATE OR REPLACE FUNCTION queuekit.fire(firings jsonb) RETURNS TABLE (firing integer, odd queuekit.change)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  f record;
  jobs record;
  taken bigint[] := '{}';
BEGIN
  FOR f IN
    SELECT o.n, g.*, (
      SELECT coalesce(jsonb_agg(jsonb_build_array(j.given -> 'tick', queuekit.now_us(), j.given -> 'id') ORDER BY j.n), '[]')
      FROM jsonb_array_elements(g.jobs) WITH ORDINALITY AS j (given, n)
    ) AS ticks
    FROM jsonb_array_elements(firings) WITH ORDINALITY AS o (given, n) CROSS JOIN LATERAL
      jsonb_to_record(o.given) AS g (
        queue text, name text, rule text, tick text, next_tick text, next_at bigint, jobs jsonb
      )
    ORDER BY g.queue, g.name, o.n
  LOOP
    IF EXISTS (SELECT FROM queuekit.gates g WHERE g.queue = f.queue) THEN
      PERFORM pg_advisory_xact_lock_shared(queuekit.gate_lock(f.queue));
    END IF;
    UPDATE queuekit.schedules s
    SET tick = f.next_tick, due_at = f.next_at, count = s.count + jsonb_array_length(f.jobs),
      fired = jsonb_path_query_array(s.fired || f.ticks, '$[(last - TICKS_KEPT + 1) to last]')
    WHERE s.queue = f.queue AND s.name = f.name AND s.rule = f.rule AND s.tick = f.tick AND NOT s.paused
      AND queuekit.ticking(ARRAY[f.queue]) <> '{}';
    IF FOUND THEN
      taken := taken || f.n;
    END IF;
  END LOOP;
  RETURN QUERY SELECT n::integer, NULL::queuekit.change FROM unnest(taken) AS n;
  SELECT array_agg(o.n::integer) AS firings, array_agg(u.n::integer) AS places, array_agg(j.id) AS ids,
    array_agg(j.task) AS tasks, array_agg(j.payload) AS payloads, array_agg(j.key) AS keys, array_agg(j.options) AS options,
    array_agg(false) AS fresh
  INTO jobs
  FROM unnest(taken) AS o (n)
  CROSS JOIN LATERAL jsonb_array_elements(firings -> (o.n - 1)::integer -> 'jobs') WITH ORDINALITY AS u (given, n)
  CROSS JOIN LATERAL jsonb_to_record(u.given) AS j (id uuid, task text, payload text, key text, options text)
  WHERE j.id IS NOT NULL;
  FOR odd IN
    SELECT * FROM queuekit.store_all(jobs.ids, jobs.tasks, jobs.payloads, jobs.keys, jobs.fresh, jobs.options, true, false,
      (NULL, 9223372036854775807)::queuekit.guard)
  LOOP
    firing := jobs.firings[odd.n];
    odd.n := jobs.places[odd.n];
    IF odd.refused <> 'known' THEN
      PERFORM queuekit.tick_without_job(firings -> firing - 1, odd.n - 1);
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

-- Notes that the tick of a firing, by its place, has made no job.
CREATE OR REPLACE FUNCTION queuekit.tick_without_job(given jsonb, place integer) RETURNS void LANGUAGE sql VOLATILE AS $$
  UPDATE queuekit.schedules s
  SET fired = (
    SELECT jsonb_agg(CASE WHEN e.tick -> 2 = given -> 'jobs' -> place -> 'id' THEN jsonb_set(e.tick, '{2}', 'null') ELSE e.tick END ORDER BY e.n)
    FROM jsonb_array_elements(s.fired) WITH ORDINALITY AS e (tick, n)
  )
  WHERE s.queue = given ->> 'queue' AND s.name = given ->> 'name'
$$;
