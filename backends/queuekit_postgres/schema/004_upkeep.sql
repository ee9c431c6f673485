-- `since`: what was due or lapsed up to then has been dealt with. While any old snapshot is open, its index entries
-- can't be removed, and a scan from the start would walk through all of them.

-- Promotion -----------------------------------------------------------------------------------------------------

-- Makes due jobs ready, in the order in which they were due; how many.
CREATE FUNCTION queuekit.promote_due(queues text[], since bigint) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
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

-- Gives jobs new places in line, in the order given.
CREATE FUNCTION queuekit.make_ready(seqs bigint[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  places bigint[] := ARRAY(SELECT nextval('queuekit.jobs_seq_seq') FROM generate_subscripts(seqs, 1));
BEGIN
  UPDATE queuekit.jobs
  SET state = queuekit.ready(lapses), seq = places[array_position(seqs, seq)]
  WHERE seq = ANY(seqs);
END
$$;

-- Fails jobs that did not begin in time; gives what `finish` does.
CREATE FUNCTION queuekit.expire(queues text[], keep bigint, since bigint) RETURNS json
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

-- Rescue --------------------------------------------------------------------------------------------------------

-- Notes that time is being moved on. After a gap nobody could renew in, jobs whose lease is shorter than three gaps
-- get a fresh one, but only once until their owner is heard again; how many did.
CREATE FUNCTION queuekit.tick() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  gap bigint;
  renewed integer;
BEGIN
  SELECT now - last_tick INTO gap FROM queuekit.meta FOR UPDATE;
  UPDATE queuekit.meta SET last_tick = now;
  UPDATE queuekit.jobs j
  SET leased_until = now + j.lease, renewed_at = now
  WHERE j.state = RUNNING AND j.lease < 3 * gap AND (j.renewed_at IS NULL OR EXISTS (
    SELECT FROM queuekit.jobs o
    WHERE o.state = RUNNING AND o.claimant = j.claimant AND o.renewed_at IS NULL AND o.leased_until - o.lease > j.renewed_at
  ));
  GET DIAGNOSTICS renewed = ROW_COUNT;
  RETURN renewed;
END
$$;

-- Takes back jobs whose lease ran out. Gives queue and id of each as `rescued`, and as `crashed` what `finish` does of those that
-- have failed by it; null if there are none.
CREATE FUNCTION queuekit.rescue(queues text[], keep bigint, since bigint) RETURNS json
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

-- Hands out one solitary job a queue, if none is out; under a lock, as two at once would hand out two.
CREATE FUNCTION queuekit.hand_out(queues text[]) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
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

-- Lets successors go on whose holder ended while a caller's transaction was storing them.
CREATE FUNCTION queuekit.succeed_orphans(queues text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  orphan record;
BEGIN
  FOR orphan IN
    SELECT j.queue, j.key FROM queuekit.jobs j
    WHERE j.state = WAITING AND j.queue = ANY(queues) AND NOT EXISTS (
      SELECT FROM queuekit.keys k JOIN queuekit.jobs h ON h.id = k.id AND h.queue = k.queue
      WHERE k.queue = j.queue AND k.key = j.key
    )
    LIMIT 1000
  LOOP
    PERFORM queuekit.succeed(orphan.queue, orphan.key);
  END LOOP;
END
$$;

-- Retention -----------------------------------------------------------------------------------------------------

-- Hides records: what remains is that the id is known, for two minutes at least.
CREATE FUNCTION queuekit.forget(ids uuid[], queues text[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  UPDATE queuekit.records
  SET kept_until = queuekit.now_us(), payload = '', extra = NULL, progress = NULL, result = NULL, errors = NULL,
    history = NULL, logs = NULL
  WHERE id = ANY(ids) AND kept_until > queuekit.now_us()
    AND (id, queue) IN (SELECT i, q FROM unnest(ids, queues) AS u (i, q))
$$;

-- Cuts succeeded records to the newest keep_count of their queue and task (as the last of them says); how many.
CREATE FUNCTION queuekit.trim_succeeded(queues text[], bound integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  line record;
  cut bigint;
  trimmed integer := 0;
  n integer;
BEGIN
  FOR line IN
    WITH RECURSIVE kinds AS (
      SELECT q.name AS queue, (
        SELECT min(r.task) FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue = q.name
      ) AS task FROM unnest(queues) AS q (name)
      UNION ALL
      SELECT k.queue, (
        SELECT min(r.task) FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue = k.queue AND r.task > k.task
      ) FROM kinds k WHERE k.task IS NOT NULL
    )
    SELECT k.queue, k.task, newest.keep_count FROM kinds k CROSS JOIN LATERAL (
      SELECT r.keep_count FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue = k.queue AND r.task = k.task
      ORDER BY r.finished_at DESC LIMIT 1
    ) AS newest
    WHERE newest.keep_count IS NOT NULL
  LOOP
    SELECT r.finished_at INTO cut FROM queuekit.records r
    WHERE r.state = SUCCEEDED AND r.queue = line.queue AND r.task = line.task
    ORDER BY r.finished_at DESC OFFSET line.keep_count LIMIT 1;
    CONTINUE WHEN NOT FOUND;
    n := queuekit.trim_line(line.queue, line.task, cut, bound - trimmed);
    trimmed := trimmed + n;
    EXIT WHEN trimmed >= bound;
  END LOOP;
  RETURN trimmed;
END
$$;

-- Removes the oldest records of one queue and task up to a moment; the young ones are only hidden, so that their ids
-- stay known.
CREATE FUNCTION queuekit.trim_line(line_queue text, line_task text, cut bigint, bound integer) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  last bigint;
  deleted integer;
  hidden integer;
BEGIN
  SELECT r.finished_at INTO last FROM queuekit.records r
  WHERE r.state = SUCCEEDED AND r.queue = line_queue AND r.task = line_task
  ORDER BY r.finished_at OFFSET bound LIMIT 1;
  last := least(cut, last);
  DELETE FROM queuekit.records r
  WHERE r.state = SUCCEEDED AND r.queue = line_queue AND r.task = line_task AND r.finished_at <= least(last, now - REMEMBER_IDS);
  GET DIAGNOSTICS deleted = ROW_COUNT;
  UPDATE queuekit.records r SET kept_until = now, payload = '', extra = NULL, result = NULL, logs = NULL
  WHERE r.state = SUCCEEDED AND r.queue = line_queue AND r.task = line_task AND r.finished_at <= last AND r.kept_until > now
    AND NOT (r.awaited AND r.finished_at > now - KEEP_FOR_WAITERS);
  GET DIAGNOSTICS hidden = ROW_COUNT;
  RETURN deleted + hidden;
END
$$;

-- Removes what is past its time besides jobs and records of a day; how much.
CREATE FUNCTION queuekit.prune() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
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

-- Makes the partitions of the coming days and drops those whose day has passed. It waits for no lock (then the next
-- call does it) and needs no success: rows without a partition of their own go to records_other.
CREATE FUNCTION queuekit.turn_pages(days integer) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  a_day CONSTANT bigint := 86400000000;
  today bigint := queuekit.now_us() / a_day;
  page text;
BEGIN
  PERFORM set_config('lock_timeout', '100ms', true);
  PERFORM pg_advisory_xact_lock(hashtextextended('queuekit.turn_pages', 0));
  FOR page IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'queuekit.records'::regclass AND c.relname ~ '^records_[0-9]+$'
      AND substr(c.relname, 9)::bigint < (queuekit.now_us() - 600000000) / a_day
  LOOP
    EXECUTE format('DROP TABLE queuekit.%I', page);
  END LOOP;
  FOR day IN today .. today + days LOOP
    page := 'records_' || day;
    IF to_regclass('queuekit.' || page) IS NULL THEN
      EXECUTE format('CREATE TABLE queuekit.%I (LIKE queuekit.records INCLUDING ALL)', page);
      EXECUTE format(
        'ALTER TABLE queuekit.records ATTACH PARTITION queuekit.%I FOR VALUES FROM (%s) TO (%s)',
        page, day * a_day, (day + 1) * a_day
      );
    END IF;
  END LOOP;
EXCEPTION WHEN lock_not_available OR check_violation OR insufficient_privilege OR duplicate_table OR unique_violation
  OR read_only_sql_transaction THEN
  NULL;
END
$$;
