-- Recurring work.

-- When the first schedule of some queues is due, after so many that are due already.
CREATE OR REPLACE FUNCTION queuekit.next_due(queues text[], beyond integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT s.due_at FROM queuekit.schedules s
  WHERE s.due_at IS NOT NULL AND NOT s.paused AND s.queue = ANY(queues)
  ORDER BY s.due_at, s.queue, s.name LIMIT 1 OFFSET beyond
$$;

-- Stores the jobs of ticks that are due and moves their schedules on. Gives the places of those for which that was done, each
-- with null and with what became of the jobs that were not just stored, by their places.
-- firings: a JSON array of objects with queue, name, rule, tick, next_tick, next_at, and jobs: objects with tick, and id,
-- task, payload, key and options if there is a job to store.
CREATE OR REPLACE FUNCTION queuekit.fire(firings jsonb) RETURNS TABLE (firing integer, odd queuekit.change)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  f record;
  told queuekit.change[];
BEGIN
  FOR f IN
    SELECT g.*, o.n::integer AS n FROM jsonb_array_elements(firings) WITH ORDINALITY AS o (given, n) CROSS JOIN LATERAL
      jsonb_to_record(o.given) AS g (
        queue text, name text, rule text, tick text, next_tick text, next_at bigint, jobs jsonb
      )
    ORDER BY g.queue, g.name
  LOOP
    UPDATE queuekit.schedules s
    SET tick = f.next_tick, due_at = f.next_at, count = s.count + jsonb_array_length(f.jobs)
    WHERE s.queue = f.queue AND s.name = f.name AND s.rule = f.rule AND s.tick = f.tick AND NOT s.paused;
    CONTINUE WHEN NOT FOUND;
    told := ARRAY(
      SELECT (places[c.n], c.queue, c.id, c.found, c.now, c.generation, c.refused, c.holder, c.task, c.reason)::queuekit.change
      FROM (
        SELECT array_agg(n::integer ORDER BY n) AS places, array_agg(j.id ORDER BY n) AS ids,
          array_agg(j.task ORDER BY n) AS tasks, array_agg(j.payload ORDER BY n) AS payloads,
          array_agg(j.key ORDER BY n) AS keys, array_agg(j.options ORDER BY n) AS options, array_agg(false) AS fresh
        FROM jsonb_array_elements(f.jobs) WITH ORDINALITY AS u (given, n) CROSS JOIN LATERAL
          jsonb_to_record(u.given) AS j (id uuid, task text, payload text, key text, options text)
        WHERE j.id IS NOT NULL
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
          FROM jsonb_array_elements(f.jobs) WITH ORDINALITY AS new (given, n)
        ) AS e ORDER BY e.n DESC LIMIT TICKS_KEPT
      ) AS last
    )
    WHERE s.queue = f.queue AND s.name = f.name;
    RETURN QUERY SELECT f.n, NULL::queuekit.change UNION ALL SELECT f.n, t FROM unnest(told) AS t;
  END LOOP;
END
$$;
