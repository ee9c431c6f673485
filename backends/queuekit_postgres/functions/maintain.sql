-- Moving time on. `since`: what was due or lapsed up to then has been dealt with. While any old snapshot is open, its
-- index entries can't be removed, and a scan from the start would walk through all of them.

-- Fails jobs that did not begin in time; gives what became of them.
CREATE OR REPLACE FUNCTION queuekit.expire(queues text[], keep bigint, since bigint) RETURNS SETOF queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  late queuekit.ending[] := ARRAY(
    SELECT (NULL, j.seq, FAILED, 'expired', keep, NULL, NULL, NULL)::queuekit.ending
    FROM unnest(queues) AS q (name) CROSS JOIN LATERAL (
      SELECT s.seq FROM queuekit.jobs s
      WHERE s.expires_at IS NOT NULL AND s.attempt = 0 AND s.state <> RUNNING AND s.state <> WAITING
        AND s.queue = q.name AND s.expires_at > since AND s.expires_at <= queuekit.now_us()
      ORDER BY s.expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) AS j
  );
BEGIN
  IF cardinality(late) > 0 THEN
    RETURN QUERY SELECT * FROM queuekit.finish(late);
  END IF;
END
$$;

-- Takes back jobs whose lease ran out; gives what became of them.
CREATE OR REPLACE FUNCTION queuekit.rescue(queues text[], keep bigint, since bigint) RETURNS SETOF queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  seqs bigint[];
  deliveries bigint[];
BEGIN
  SELECT array_agg(j.seq ORDER BY j.seq), array_agg(j.delivery ORDER BY j.seq) INTO seqs, deliveries
  FROM unnest(queues) AS q (name) CROSS JOIN LATERAL (
    SELECT s.seq, s.delivery FROM queuekit.jobs s
    WHERE s.state = RUNNING AND s.queue = q.name AND s.leased_until > since AND s.leased_until <= queuekit.now_us()
    ORDER BY s.leased_until LIMIT 1000 FOR UPDATE SKIP LOCKED
  ) AS j;
  IF seqs IS NOT NULL THEN
    RETURN QUERY SELECT * FROM queuekit.leave(seqs, deliveries, keep);
  END IF;
END
$$;

-- When the first lease of some queues runs out, or the first job expires.
CREATE OR REPLACE FUNCTION queuekit.again_at(queues text[], since bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT min(least(
    (
      SELECT s.leased_until FROM queuekit.jobs s
      WHERE s.state = RUNNING AND s.queue = q.name AND s.leased_until > since
      ORDER BY s.leased_until LIMIT 1
    ),
    (
      SELECT s.expires_at FROM queuekit.jobs s
      WHERE s.expires_at IS NOT NULL AND s.attempt = 0 AND s.state <> RUNNING AND s.state <> WAITING AND s.queue = q.name
      ORDER BY s.expires_at LIMIT 1
    )
  )) FROM unnest(queues) AS q (name)
$$;

-- Removes what is past its time of some queues, and of none, besides the records of a day; how many records.
CREATE OR REPLACE FUNCTION queuekit.prune(queues text[]) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  pruned integer;
BEGIN
  DELETE FROM queuekit.keys WHERE expires_at <= now AND queue = ANY(queues);
  DELETE FROM queuekit.sleepers WHERE until <= now;
  DELETE FROM queuekit.waiters WHERE until <= now;
  DELETE FROM queuekit.presences WHERE seen_at + ttl <= now;
  DELETE FROM queuekit.ticks WHERE at <= now - 30 * 86400000000;
  DELETE FROM queuekit.records_other WHERE ctid = ANY(ARRAY(
    SELECT r.ctid FROM queuekit.records_other r
    WHERE r.kept_until <= now - REMEMBER_IDS AND r.queue = ANY(queues) LIMIT 1000
  ));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
