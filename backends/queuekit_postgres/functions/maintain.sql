-- Moving time on. `since`: what was due or lapsed up to then has been dealt with. While any old snapshot is open, its
-- index entries can't be removed, and a scan from the start would walk through all of them.

-- Fails jobs that did not begin in time; gives what `finish` does.
CREATE OR REPLACE FUNCTION queuekit.expire(queues text[], keep bigint, since bigint) RETURNS json
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  late bigint[] := ARRAY(
    SELECT j.seq FROM unnest(queues) AS q (name) CROSS JOIN LATERAL (
      SELECT s.seq FROM queuekit.jobs s
      WHERE s.expires_at IS NOT NULL AND s.attempt = 0 AND s.state <> RUNNING AND s.state <> WAITING
        AND s.queue = q.name AND s.expires_at > since AND s.expires_at <= queuekit.now_us()
      ORDER BY s.expires_at LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) AS j
  );
BEGIN
  IF late <> '{}' THEN
    RETURN queuekit.finish(late, FAILED::smallint, 'expired', keep);
  END IF;
  RETURN NULL;
END
$$;

-- Takes back jobs whose lease ran out. Gives queue and id of each as `rescued`, and as `crashed` what `finish` does of those that
-- have failed by it; null if there are none.
CREATE OR REPLACE FUNCTION queuekit.rescue(queues text[], keep bigint, since bigint) RETURNS json
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  lapsed bigint[] := ARRAY(
    SELECT j.seq FROM unnest(queues) AS q (name) CROSS JOIN LATERAL (
      SELECT s.seq FROM queuekit.jobs s
      WHERE s.state = RUNNING AND s.queue = q.name AND s.leased_until > since AND s.leased_until <= queuekit.now_us()
      ORDER BY s.leased_until LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) AS j
  );
  rescued json;
  crashed json;
BEGIN
  IF lapsed = '{}' THEN
    RETURN NULL;
  END IF;
  UPDATE queuekit.jobs
  SET state = queuekit.ready((lapses + 1)::smallint), lapses = lapses + 1, attempt = attempt - 1,
    history = queuekit.noted(history, queuekit.event('lapse', delivery)),
    claimant = NULL, leased_until = NULL, renewed_at = NULL
  WHERE seq = ANY(lapsed);
  SELECT json_agg(json_build_array(queue, id)) INTO rescued FROM queuekit.jobs WHERE seq = ANY(lapsed);
  PERFORM queuekit.finish(
    ARRAY(SELECT seq FROM queuekit.jobs WHERE seq = ANY(lapsed) AND cancel_requested), CANCELLED::smallint, NULL, keep
  );
  crashed := queuekit.finish(
    ARRAY(SELECT seq FROM queuekit.jobs WHERE seq = ANY(lapsed) AND lapses >= max_lapses), FAILED::smallint, 'crashed', keep
  );
  PERFORM queuekit.ring(queues, cardinality(lapsed));
  RETURN json_build_object('rescued', rescued, 'crashed', crashed::text);
END
$$;

-- Removes what is past its time besides jobs and records of a day; how much.
CREATE OR REPLACE FUNCTION queuekit.prune() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  pruned integer;
BEGIN
  DELETE FROM queuekit.keys WHERE expires_at <= now;
  DELETE FROM queuekit.sleepers WHERE until <= now;
  DELETE FROM queuekit.waiters WHERE until <= now;
  DELETE FROM queuekit.presences WHERE seen_at + ttl <= now;
  DELETE FROM queuekit.records_other WHERE ctid = ANY(ARRAY(
    SELECT r.ctid FROM queuekit.records_other r WHERE r.kept_until <= now - REMEMBER_IDS LIMIT 1000
  ));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
