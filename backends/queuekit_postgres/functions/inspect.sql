-- What people do to jobs.

-- Ends an unstarted job as cancelled, or asks a running one to stop; the state that it has now.
CREATE OR REPLACE FUNCTION queuekit.cancel(job queuekit.jobs, keep bigint) RETURNS smallint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE queuekit.jobs
  SET cancel_requested = true, history = queuekit.noted(history, queuekit.event('cancel', delivery))
  WHERE seq = job.seq AND NOT cancel_requested;
  IF job.state = RUNNING THEN
    PERFORM queuekit.wake(job.claimant);
    RETURN RUNNING;
  END IF;
  PERFORM queuekit.finish_as_cancelled(job.seq, keep);
  RETURN CANCELLED;
END
$$;

-- Makes a finished job ready again; the id that holds its key if that is another job's, and nothing was done.
CREATE OR REPLACE FUNCTION queuekit.rerun(old queuekit.records) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  holder uuid;
BEGIN
  DELETE FROM queuekit.keys k WHERE k.queue = old.queue AND k.key = old.key AND k.expires_at <= queuekit.now_us();
  IF old.key_for IS NULL THEN
    INSERT INTO queuekit.keys (queue, key, id) SELECT old.queue, old.key, old.id WHERE old.key IS NOT NULL
    ON CONFLICT DO NOTHING;
  END IF;
  SELECT k.id INTO holder FROM queuekit.keys k WHERE k.queue = old.queue AND k.key = old.key AND k.id <> old.id;
  IF FOUND THEN
    RETURN holder;
  END IF;
  DELETE FROM queuekit.records r WHERE r.id = old.id AND r.queue = old.queue;
  INSERT INTO queuekit.jobs (
    delivery, enqueued_at, own_lease, settled_delivery, key_for, keep_age, id, origin, max_attempts, generation,
    keep_count, priority, max_lapses, max_crashes, settled, queue, task, payload, key, extra, tags, errors, history, logs
  ) VALUES (
    old.delivery, old.enqueued_at, old.own_lease, old.settled_delivery, old.key_for, old.keep_age, old.id, old.origin,
    old.max_attempts, old.generation + 1, old.keep_count, old.priority, old.max_lapses, old.max_crashes, old.settled,
    old.queue, old.task, old.payload, old.key, old.extra, old.tags, old.errors,
    queuekit.noted(old.history, queuekit.event('rerun', old.delivery)), old.logs
  );
  PERFORM queuekit.ring(ARRAY[old.queue], 1);
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION queuekit.remove(job uuid, job_queue text, job_seq bigint) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF job_seq IS NOT NULL THEN
    PERFORM queuekit.finish_as_cancelled(job_seq, 0);
  END IF;
  PERFORM queuekit.forget(ARRAY[job], ARRAY[job_queue]);
END
$$;

-- Carries out an event on a job that is in one of the states in which that is allowed.
CREATE OR REPLACE FUNCTION queuekit.steer(event text, allowed smallint[], job uuid, job_queue text, keep bigint)
RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  held queuekit.jobs := queuekit.live(job, job_queue);
  old queuekit.records;
  became queuekit.change;
BEGIN
  IF held.id IS NULL THEN
    old := queuekit.record(job, job_queue);
  END IF;
  became.queue := job_queue;
  became.id := job;
  became.found := coalesce(held.state, old.state);
  became.now := became.found;
  became.generation := coalesce(held.generation, old.generation, 0);
  IF became.found IS NULL THEN
    became.refused := 'gone';
  ELSIF became.found <> ALL(allowed) THEN
    became.refused := 'state';
  ELSIF event IN ('cancel', 'drain') THEN
    became.now := queuekit.cancel(held, keep);
  ELSIF event IN ('delete', 'clean') THEN
    PERFORM queuekit.remove(job, job_queue, held.seq), queuekit.bury(job, job_queue, became.generation);
    became.now := NULL;
  ELSIF event = 'promote' THEN
    PERFORM queuekit.make_ready(ARRAY[held.seq]), queuekit.ring(ARRAY[job_queue], 1);
    became.now := READY;
  ELSIF EXISTS (SELECT FROM queuekit.gates g WHERE g.queue = job_queue AND NOT g.active) THEN
    became.refused := 'moved';
    became.reason := (SELECT g.other FROM queuekit.gates g WHERE g.queue = job_queue);
  ELSE
    became.holder := queuekit.rerun(old);
    IF became.holder IS NULL THEN
      became.now := READY;
      became.generation := became.generation + 1;
    ELSE
      became.refused := 'key held';
    END IF;
  END IF;
  RETURN became;
END
$$;
