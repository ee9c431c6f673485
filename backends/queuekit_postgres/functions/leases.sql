-- Leases and their owners.

-- Notes that time is being moved on in some queues. After a gap nobody could renew in, jobs whose lease is shorter than
-- three gaps last longer (as `queuekit.backend.model.spared_until` says), but only once until their owner is heard again;
-- how many do.
CREATE OR REPLACE FUNCTION queuekit.renew(queues text[]) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  ticked text[];
  gaps bigint[];
  renewed integer;
BEGIN
  SELECT array_agg(t.queue), array_agg(now - t.at) INTO ticked, gaps FROM (
    SELECT * FROM queuekit.ticks WHERE queue = ANY(queues) ORDER BY queue FOR UPDATE
  ) AS t;
  INSERT INTO queuekit.ticks (queue, at) SELECT DISTINCT q.name, now FROM unnest(queues) AS q (name) ORDER BY q.name
  ON CONFLICT (queue) DO UPDATE SET at = excluded.at;
  UPDATE queuekit.jobs j
  SET leased_until = greatest(j.leased_until, now + least(j.lease, j.lease / 2 + HEARD_WITHIN)), renewed_at = now
  FROM unnest(ticked, gaps) AS tick (queue, gap)
  WHERE j.state = RUNNING AND j.queue = tick.queue AND j.lease < 3 * tick.gap AND (j.renewed_at IS NULL OR EXISTS (
    SELECT FROM queuekit.jobs o
    WHERE o.state = RUNNING AND o.claimant = j.claimant AND o.renewed_at IS NULL AND o.leased_until - o.lease > j.renewed_at
  ));
  GET DIAGNOSTICS renewed = ROW_COUNT;
  RETURN renewed;
END
$$;

-- The next queue, by name, that holds a job or a record; of each index one probe.
CREATE OR REPLACE FUNCTION queuekit.queue_after(last text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT least(
    (SELECT min(j.queue) FROM queuekit.jobs j WHERE j.state = READY AND j.queue > last),
    (SELECT min(j.queue) FROM queuekit.jobs j WHERE j.state = SUSPECT AND j.queue > last),
    (SELECT min(j.queue) FROM queuekit.jobs j WHERE j.state = SOLITARY AND j.lapses >= SOLITARY_AFTER AND j.queue > last),
    (SELECT min(j.queue) FROM queuekit.jobs j WHERE j.state = SCHEDULED AND j.queue > last),
    (SELECT min(j.queue) FROM queuekit.jobs j WHERE j.state = WAITING AND j.queue > last),
    (SELECT min(j.queue) FROM queuekit.jobs j WHERE j.state = RUNNING AND j.queue > last),
    (SELECT min(r.queue) FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue > last),
    (SELECT min(r.queue) FROM queuekit.records r WHERE r.state <> SUCCEEDED AND r.queue > last)
  )
$$;
