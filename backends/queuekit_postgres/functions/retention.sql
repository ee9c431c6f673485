-- Records of finished jobs, and what is remembered of an id without one.

-- The refusal of an id whose job has finished, with no state if it is only remembered; null: there is no record of it.
CREATE OR REPLACE FUNCTION queuekit.recorded(job uuid, job_queue text) RETURNS queuekit.change LANGUAGE sql VOLATILE AS $$
  SELECT NULL::integer, job_queue, job, state, state, generation, 'known', NULL::uuid, NULL::text, NULL::text FROM (
    SELECT
      CASE WHEN r.kept_until > queuekit.now_us() THEN r.state END,
      CASE WHEN r.kept_until > queuekit.now_us() THEN r.generation ELSE 0 END,
      r.finished_at
    FROM queuekit.records r
    WHERE r.id = job AND r.queue = job_queue AND r.kept_until > queuekit.now_us() - REMEMBER_IDS
  ) AS found (state, generation, finished_at)
  ORDER BY finished_at DESC LIMIT 1
$$;

-- The refusal of an id that is known; null: it is not.
CREATE OR REPLACE FUNCTION queuekit.known(job uuid, job_queue text) RETURNS queuekit.change LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(
    (
      SELECT (NULL, queue, id, state, state, generation, 'known', NULL, NULL, NULL)::queuekit.change
      FROM queuekit.jobs WHERE id = job AND queue = job_queue
    ),
    (
      SELECT queuekit.refused(job, job_queue, 'known', NULL) FROM queuekit.copies
      WHERE id = job AND queue = job_queue
    ),
    queuekit.recorded(job, job_queue)
  )
$$;

-- The answer to a replacement that is sent again, while what it has replaced still has its payload.
CREATE OR REPLACE FUNCTION queuekit.replaced(job uuid, job_queue text) RETURNS queuekit.change LANGUAGE sql VOLATILE AS $$
  SELECT NULL::integer, j.queue, j.id, j.state, j.state, j.generation, NULL::text, j.id, NULL::text, NULL::text
  FROM queuekit.jobs j WHERE j.origin = job AND j.queue = job_queue
$$;

-- Hides records: what remains is that the id is known, for two minutes at least.
CREATE OR REPLACE FUNCTION queuekit.forget(ids uuid[], queues text[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  UPDATE queuekit.records
  SET kept_until = queuekit.now_us(), payload = '', extra = NULL, progress = NULL, result = NULL, errors = NULL,
    history = NULL, logs = NULL
  WHERE id = ANY(ids) AND kept_until > queuekit.now_us()
    AND (id, queue) IN (SELECT i, q FROM unnest(ids, queues) AS u (i, q))
$$;

-- Cuts succeeded records to keep_count of their queue and task (as the one that is kept longest says): those go whose
-- retention ends first; how many.
CREATE OR REPLACE FUNCTION queuekit.trim_succeeded(queues text[], bound integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  kind record;
  cut bigint;
  trimmed integer := 0;
BEGIN
  FOR kind IN
    WITH RECURSIVE kinds AS (
      SELECT q.name AS queue, (
        SELECT min(r.task) FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue = q.name
      ) AS task FROM unnest(queues) AS q (name)
      UNION ALL
      SELECT k.queue, (
        SELECT min(r.task) FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue = k.queue AND r.task > k.task
      ) FROM kinds k WHERE k.task IS NOT NULL
    )
    SELECT k.queue, k.task, last.keep_count FROM kinds k CROSS JOIN LATERAL (
      SELECT r.keep_count FROM queuekit.records r WHERE r.state = SUCCEEDED AND r.queue = k.queue AND r.task = k.task
      ORDER BY r.kept_until DESC LIMIT 1
    ) AS last
    WHERE last.keep_count IS NOT NULL
  LOOP
    SELECT r.kept_until INTO cut FROM queuekit.records r
    WHERE r.state = SUCCEEDED AND r.queue = kind.queue AND r.task = kind.task
    ORDER BY r.kept_until DESC OFFSET kind.keep_count LIMIT 1;
    CONTINUE WHEN NOT FOUND;
    trimmed := trimmed + queuekit.trim_kind(kind.queue, kind.task, cut, bound - trimmed);
    EXIT WHEN trimmed >= bound;
  END LOOP;
  RETURN trimmed;
END
$$;

-- Removes records of one queue and task that are kept up to a moment at most; the young ones are only hidden, so that
-- their ids stay known. How many it has removed or hidden: those that are hidden already do not count for the bound.
CREATE OR REPLACE FUNCTION queuekit.trim_kind(kind_queue text, kind_task text, cut bigint, bound integer) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  last bigint;
  deleted integer;
  hidden integer;
BEGIN
  SELECT r.kept_until INTO last FROM queuekit.records r
  WHERE r.state = SUCCEEDED AND r.queue = kind_queue AND r.task = kind_task AND r.kept_until > now
    AND NOT (r.awaited AND r.finished_at > now - KEEP_FOR_WAITERS)
  ORDER BY r.kept_until OFFSET bound - 1 LIMIT 1;
  last := least(cut, last);
  DELETE FROM queuekit.records r
  WHERE r.state = SUCCEEDED AND r.queue = kind_queue AND r.task = kind_task AND r.kept_until <= last
    AND r.finished_at <= now - REMEMBER_IDS;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  UPDATE queuekit.records r SET kept_until = now, payload = '', extra = NULL, result = NULL, logs = NULL
  WHERE r.state = SUCCEEDED AND r.queue = kind_queue AND r.task = kind_task AND r.kept_until <= last AND r.kept_until > now
    AND NOT (r.awaited AND r.finished_at > now - KEEP_FOR_WAITERS);
  GET DIAGNOSTICS hidden = ROW_COUNT;
  RETURN deleted + hidden;
END
$$;

-- Makes the partitions of the coming days and drops those whose day has passed. It waits for no lock (then the next
-- call does it) and needs no success: rows without a partition of their own go to records_other.
CREATE OR REPLACE FUNCTION queuekit.make_partitions(days integer) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  a_day CONSTANT bigint := 86400000000;
  today bigint := queuekit.now_us() / a_day;
  partition text;
BEGIN
  PERFORM set_config('lock_timeout', '100ms', true);
  PERFORM pg_advisory_xact_lock(hashtextextended('queuekit.make_partitions', 0));
  FOR partition IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'queuekit.records'::regclass AND c.relname ~ '^records_[0-9]+$'
      AND substr(c.relname, 9)::bigint < (queuekit.now_us() - 600000000) / a_day
  LOOP
    EXECUTE format('DROP TABLE queuekit.%I', partition);
  END LOOP;
  FOR day IN today .. today + days LOOP
    partition := 'records_' || day;
    IF to_regclass('queuekit.' || partition) IS NULL THEN
      EXECUTE format('CREATE TABLE queuekit.%I (LIKE queuekit.records INCLUDING ALL)', partition);
      EXECUTE format(
        'ALTER TABLE queuekit.records ATTACH PARTITION queuekit.%I FOR VALUES FROM (%s) TO (%s)',
        partition, day * a_day, (day + 1) * a_day
      );
    END IF;
  END LOOP;
EXCEPTION WHEN lock_not_available OR check_violation OR insufficient_privilege OR duplicate_table OR unique_violation
  OR read_only_sql_transaction THEN
  NULL;
END
$$;
