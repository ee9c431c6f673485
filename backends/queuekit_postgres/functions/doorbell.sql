-- Ringing sleepers, telling waiters.

-- The channel of a process, short enough for any name; of all processes: bell('').
CREATE OR REPLACE FUNCTION queuekit.bell(process text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT 'queuekit_' || md5('queuekit./' || process)
$$;

-- Tells all sleepers of some queues that others were rung, so that they look soon; however often in a transaction, once.
CREATE OR REPLACE FUNCTION queuekit.stir(queues text[]) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT count(pg_notify(queuekit.bell(''), '?' || q.name)) FROM (SELECT DISTINCT unnest(queues)) AS q (name)
$$;

-- Wakes sleepers of some queues. One that is rung is asleep no more, so that a busy system sends no NOTIFY (it takes a
-- global lock at commit); two more than jobs, as a sleeper may have been killed. The others are told to look soon.
CREATE OR REPLACE FUNCTION queuekit.ring(queues text[], jobs bigint) RETURNS void LANGUAGE sql VOLATILE AS $$
  WITH rung AS (
    DELETE FROM queuekit.sleepers
    WHERE process = ANY(ARRAY(
      SELECT s.process FROM queuekit.sleepers s
      WHERE s.queues && ring.queues AND s.until > queuekit.now_us()
      LIMIT ring.jobs + 2 FOR UPDATE SKIP LOCKED
    ))
    RETURNING process
  )
  SELECT pg_notify(queuekit.bell(process), ''), queuekit.stir(ring.queues) FROM rung
$$;

-- Wakes one process. Its row goes, too, which it misses when it looks again should the bell be lost.
CREATE OR REPLACE FUNCTION queuekit.wake(waking text) RETURNS void LANGUAGE sql VOLATILE AS $$
  DELETE FROM queuekit.sleepers WHERE process = waking;
  SELECT pg_notify(queuekit.bell(waking), '')
$$;

-- Wakes everybody: for a caller's own transaction, since those who fall asleep before it commits can't see it.
CREATE OR REPLACE FUNCTION queuekit.ring_all(queues text[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_notify(queuekit.bell(''), queue) FROM (SELECT DISTINCT unnest(queues)) AS q (queue)
$$;

-- Tells those who wait for a job's end; whether there is one. They wait no more: the record stays for them.
CREATE OR REPLACE FUNCTION queuekit.tell(job_queue text, job uuid) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  bells text[];
BEGIN
  WITH told AS (DELETE FROM queuekit.waiters w WHERE w.id = job AND w.queue = job_queue RETURNING *)
  SELECT array_agg(queuekit.bell(t.process)) INTO bells FROM told t WHERE t.until > queuekit.now_us();
  PERFORM pg_notify(bell, '') FROM unnest(bells) AS b (bell);
  RETURN bells IS NOT NULL;
END
$$;
