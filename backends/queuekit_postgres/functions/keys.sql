-- Unique keys: who holds one, and who follows.

-- Up to when a job holds its key, whatever becomes of it; null: until it is freed.
CREATE OR REPLACE FUNCTION queuekit.key_expires(job queuekit.jobs) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT job.enqueued_at + nullif(job.key_for, 0)
$$;

-- Makes a job the holder of its key, whoever held it before.
CREATE OR REPLACE FUNCTION queuekit.take_key(job queuekit.jobs) RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO queuekit.keys (queue, key, id, expires_at)
  VALUES (job.queue, job.key, job.id, queuekit.key_expires(job))
  ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id, expires_at = excluded.expires_at
$$;

-- Lets a job go on that waits for the holder of a key: the oldest, as several callers' transactions may have stored one
-- each. One that such a transaction has in hand is left to upkeep, so that no ack waits for it.
CREATE OR REPLACE FUNCTION queuekit.follow(job_queue text, job_key text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  successor queuekit.jobs;
BEGIN
  UPDATE queuekit.jobs
  SET state = queuekit.ready_or_scheduled(lapses, scheduled_at), seq = nextval('queuekit.jobs_seq_seq')
  WHERE seq = (
    SELECT j.seq FROM queuekit.jobs j WHERE j.state = WAITING AND j.queue = job_queue AND j.key = job_key
    ORDER BY j.seq LIMIT 1 FOR UPDATE SKIP LOCKED
  )
  RETURNING * INTO successor;
  IF FOUND THEN
    PERFORM queuekit.take_key(successor), queuekit.ring(ARRAY[job_queue], 1);
  END IF;
END
$$;

-- Lets successors go on whose holder ended while a caller's transaction was storing them.
CREATE OR REPLACE FUNCTION queuekit.follow_orphans(queues text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
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
    PERFORM queuekit.follow(orphan.queue, orphan.key);
  END LOOP;
END
$$;

-- A keyed job has finished: frees its key, unless that is protected for longer, and lets its successor go on. One that
-- a caller's transaction has taken over is not waited for.
CREATE OR REPLACE FUNCTION queuekit.free_key(job_queue text, job_key text, job uuid) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM FROM queuekit.keys k WHERE k.queue = job_queue AND k.key = job_key AND k.id = job FOR UPDATE SKIP LOCKED;
  IF FOUND THEN
    DELETE FROM queuekit.keys k WHERE k.queue = job_queue AND k.key = job_key AND k.expires_at IS NULL;
    PERFORM queuekit.follow(job_queue, job_key);
  END IF;
  RETURN job_key;
END
$$;

-- A job has begun that held its key until then.
CREATE OR REPLACE FUNCTION queuekit.free_started_key(job_queue text, job_key text, job uuid) RETURNS text
LANGUAGE sql VOLATILE AS $$
  DELETE FROM queuekit.keys k WHERE k.queue = job_queue AND k.key = job_key AND k.id = job;
  SELECT job_key
$$;

-- Decides who holds the key of a job that was just inserted. patient: may wait for a run that is just ending; a
-- caller's long transaction must not hold up that job's ack (upkeep finds a successor that was left behind), and takes
-- a holder that somebody has in hand for one that runs.
CREATE OR REPLACE FUNCTION queuekit.contend(new queuekit.jobs, policy text, patient boolean) RETURNS queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  holder queuekit.keys;
  held queuekit.jobs;
  successor uuid;
  locked boolean := false;
BEGIN
  LOOP
    INSERT INTO queuekit.keys (queue, key, id, expires_at)
    VALUES (new.queue, new.key, new.id, queuekit.key_expires(new)) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      RETURN queuekit.stored(new);
    END IF;
    SELECT * INTO holder FROM queuekit.keys k WHERE k.queue = new.queue AND k.key = new.key;
    CONTINUE WHEN NOT FOUND;
    -- First the job, then its key: the order in which acks and claims lock them.
    IF patient THEN
      PERFORM FROM queuekit.jobs j WHERE j.id = holder.id AND j.queue = new.queue FOR UPDATE;
    ELSE
      PERFORM FROM queuekit.jobs j WHERE j.id = holder.id AND j.queue = new.queue AND j.state <> RUNNING
      FOR UPDATE SKIP LOCKED;
      EXIT WHEN NOT FOUND;
    END IF;
    SELECT * INTO holder FROM queuekit.keys k
    WHERE k.queue = new.queue AND k.key = new.key AND k.id = holder.id FOR UPDATE;
    locked := FOUND;
    EXIT WHEN locked;
  END LOOP;
  SELECT * INTO held FROM queuekit.jobs j WHERE j.id = holder.id AND j.queue = new.queue;
  IF holder.expires_at <= queuekit.now_us()
    OR holder.expires_at IS NULL AND NOT queuekit.is_there(holder.id, new.queue) THEN
    UPDATE queuekit.keys k SET id = new.id, expires_at = queuekit.key_expires(new)
    WHERE k.queue = new.queue AND k.key = new.key AND k.id = holder.id;
    IF NOT FOUND THEN -- somebody else was a moment faster
      RETURN queuekit.contend(new, policy, patient);
    END IF;
    RETURN queuekit.stored(new);
  ELSIF held.id IS NULL OR policy NOT IN ('replace', 'debounce') THEN
    DELETE FROM queuekit.jobs WHERE seq = new.seq;
    RETURN queuekit.refused(new.id, new.queue, 'key held', holder.id);
  END IF;
  -- A successor before its holder, even one that was put back: what runs last must be the newest.
  SELECT j.id INTO successor FROM queuekit.jobs j WHERE j.state = WAITING AND j.queue = new.queue AND j.key = new.key
  ORDER BY j.seq DESC LIMIT 1 FOR UPDATE;
  IF FOUND THEN
    RETURN queuekit.replace(successor, new.queue, new);
  ELSIF locked AND held.state <> RUNNING THEN
    RETURN queuekit.replace(held.id, new.queue, new);
  END IF;
  UPDATE queuekit.jobs SET state = WAITING WHERE seq = new.seq RETURNING * INTO new;
  RETURN queuekit.stored(new);
END
$$;
