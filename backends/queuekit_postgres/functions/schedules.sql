-- Recurring work.

-- When the first schedule of some queues is due, after so many that are due already.
CREATE OR REPLACE FUNCTION queuekit.next_due(queues text[], beyond integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT s.due_at FROM queuekit.schedules s
  WHERE s.due_at IS NOT NULL AND NOT s.paused AND s.queue = ANY(queues)
  ORDER BY s.due_at, s.queue, s.name LIMIT 1 OFFSET beyond
$$;

-- Stores the jobs of ticks that are due and moves their schedules on; gives the places of those for which that was done.
-- firings: a JSON array of objects with queue, name, rule, tick, next_tick, next_at, and jobs: objects with tick, id, task,
-- payload, key and options.
CREATE OR REPLACE FUNCTION queuekit.fire(firings jsonb) RETURNS SETOF integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  firing record;
  told queuekit.change[];
BEGIN
  FOR firing IN
    SELECT f.*, o.n FROM jsonb_array_elements(firings) WITH ORDINALITY AS o (given, n) CROSS JOIN LATERAL
      jsonb_to_record(o.given) AS f (
        queue text, name text, rule text, tick text, next_tick text, next_at bigint, jobs jsonb
      )
    ORDER BY f.queue, f.name
  LOOP
    UPDATE queuekit.schedules s
    SET tick = firing.next_tick, due_at = firing.next_at, count = s.count + jsonb_array_length(firing.jobs)
    WHERE s.queue = firing.queue AND s.name = firing.name AND s.rule = firing.rule AND s.tick = firing.tick AND NOT s.paused;
    CONTINUE WHEN NOT FOUND;
    told := ARRAY(
      SELECT c FROM (
        SELECT array_agg(j.id ORDER BY n) AS ids, array_agg(j.task ORDER BY n) AS tasks,
          array_agg(j.payload ORDER BY n) AS payloads, array_agg(j.key ORDER BY n) AS keys,
          array_agg(j.options ORDER BY n) AS options, array_agg(false) AS fresh
        FROM jsonb_array_elements(firing.jobs) WITH ORDINALITY AS u (given, n) CROSS JOIN LATERAL
          jsonb_to_record(u.given) AS j (id uuid, task text, payload text, key text, options text)
      ) AS all_of_them
      CROSS JOIN LATERAL queuekit.store_all(ids, tasks, payloads, keys, fresh, options, true) AS c
      WHERE ids IS NOT NULL
    );
    UPDATE queuekit.schedules s
    SET fired = (
      SELECT coalesce(jsonb_agg(last.tick ORDER BY last.n), '[]') FROM (
        SELECT e.tick, e.n FROM (
          SELECT old.tick, old.n FROM jsonb_array_elements(s.fired) WITH ORDINALITY AS old (tick, n)
          UNION ALL
          SELECT jsonb_build_array(
            new.given -> 'tick', queuekit.now_us(),
            CASE WHEN NOT EXISTS (SELECT FROM unnest(told) AS t WHERE t.n = new.n AND t.refused <> 'known')
            THEN new.given -> 'id' END
          ), TICKS_KEPT + new.n
          FROM jsonb_array_elements(firing.jobs) WITH ORDINALITY AS new (given, n)
        ) AS e ORDER BY e.n DESC LIMIT TICKS_KEPT
      ) AS last
    )
    WHERE s.queue = firing.queue AND s.name = firing.name;
    RETURN NEXT firing.n;
  END LOOP;
END
$$;
