-- One steering act: the state that was found (null: no such job), whether it was done, and why not.
CREATE TYPE queuekit.change AS (state smallint, done boolean, why text);

-- The queue that is meant where none is named: that of the newest job of this id.
CREATE FUNCTION queuekit.home(job uuid, job_queue text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(job_queue, (
    SELECT e.queue FROM queuekit.entries e WHERE e.id = job ORDER BY e.enqueued_at DESC LIMIT 1
  ))
$$;

-- A live job, locked.
CREATE FUNCTION queuekit.live(job uuid, job_queue text) RETURNS queuekit.jobs LANGUAGE sql VOLATILE AS $$
  SELECT * FROM queuekit.jobs j WHERE j.id = job AND j.queue = job_queue FOR UPDATE
$$;

-- A record that is not hidden, locked.
CREATE FUNCTION queuekit.record(job uuid, job_queue text) RETURNS queuekit.records LANGUAGE sql VOLATILE AS $$
  SELECT * FROM queuekit.records r WHERE r.id = job AND r.queue = job_queue AND r.kept_until > queuekit.now_us()
  ORDER BY r.finished_at DESC LIMIT 1 FOR UPDATE
$$;

CREATE FUNCTION queuekit.cancel(job uuid, job_queue text, keep bigint) RETURNS queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found_in text := queuekit.home(job, job_queue);
  held queuekit.jobs := queuekit.live(job, found_in);
BEGIN
  IF held.id IS NULL THEN
    RETURN ((queuekit.record(job, found_in)).state, false, NULL)::queuekit.change;
  ELSIF held.state <> 2 THEN
    PERFORM queuekit.finish(ARRAY[held.seq], 8::smallint, NULL, keep);
  ELSE
    UPDATE queuekit.jobs
    SET cancel_requested = true, history = queuekit.noted(history, queuekit.event('cancel', delivery))
    WHERE seq = held.seq AND NOT cancel_requested;
    PERFORM queuekit.wake(held.claimant);
  END IF;
  RETURN (held.state, true, NULL)::queuekit.change;
END
$$;

CREATE FUNCTION queuekit.rerun(job uuid, job_queue text) RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found_in text := queuekit.home(job, job_queue);
  held queuekit.jobs := queuekit.live(job, found_in);
  old queuekit.records;
  holder uuid;
BEGIN
  IF held.id IS NOT NULL THEN
    RETURN (held.state, false, NULL)::queuekit.change;
  END IF;
  old := queuekit.record(job, found_in);
  IF old.id IS NULL OR old.state = 6 THEN
    RETURN (old.state, false, NULL)::queuekit.change;
  END IF;
  DELETE FROM queuekit.keys k WHERE k.queue = old.queue AND k.key = old.key AND k.expires_at <= queuekit.now_us();
  IF old.key_hold = 2 THEN
    INSERT INTO queuekit.keys (queue, key, id) VALUES (old.queue, old.key, job) ON CONFLICT DO NOTHING;
  END IF;
  SELECT k.id INTO holder FROM queuekit.keys k WHERE k.queue = old.queue AND k.key = old.key AND k.id <> job;
  IF FOUND THEN
    RETURN (old.state, false, format('its key %L is now held by job %s', old.key, holder))::queuekit.change;
  END IF;
  DELETE FROM queuekit.records r WHERE r.id = job AND r.queue = old.queue;
  INSERT INTO queuekit.jobs (
    delivery, enqueued_at, own_lease, settled_delivery, keep_age, id, max_attempts, generation, keep_count, priority,
    max_lapses, max_crashes, settled, key_hold, queue, task, payload, key, extra, tags, errors, history
  ) VALUES (
    old.delivery, old.enqueued_at, old.own_lease, old.settled_delivery, old.keep_age, job, old.max_attempts,
    old.generation + 1, old.keep_count, old.priority, old.max_lapses, old.max_crashes, old.settled, old.key_hold,
    old.queue, old.task, old.payload, old.key, old.extra, old.tags, old.errors,
    queuekit.noted(old.history, queuekit.event('rerun', old.delivery))
  );
  PERFORM queuekit.ring(ARRAY[old.queue], 1);
  RETURN (old.state, true, NULL)::queuekit.change;
END
$$;

CREATE FUNCTION queuekit.promote(job uuid, job_queue text) RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found_in text := queuekit.home(job, job_queue);
  held queuekit.jobs := queuekit.live(job, found_in);
BEGIN
  IF held.state = 3 THEN
    PERFORM queuekit.make_ready(ARRAY[held.seq]), queuekit.ring(ARRAY[found_in], 1);
    RETURN (held.state, true, NULL)::queuekit.change;
  END IF;
  RETURN (coalesce(held.state, (queuekit.record(job, found_in)).state), false, NULL)::queuekit.change;
END
$$;

CREATE FUNCTION queuekit.remove(job uuid, job_queue text) RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found_in text := queuekit.home(job, job_queue);
  held queuekit.jobs := queuekit.live(job, found_in);
  state smallint := coalesce(held.state, (queuekit.record(job, found_in)).state);
BEGIN
  IF state IS NULL OR state = 2 THEN
    RETURN (state, false, NULL)::queuekit.change;
  ELSIF held.id IS NOT NULL THEN
    PERFORM queuekit.finish(ARRAY[held.seq], 8::smallint, NULL, 0);
  END IF;
  PERFORM queuekit.forget(ARRAY[job], ARRAY[found_in]);
  RETURN (state, true, NULL)::queuekit.change;
END
$$;

-- Cancels scheduled and ready jobs; how many.
CREATE FUNCTION queuekit.drain(job_queue text, bound integer, keep bigint) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  drained bigint[] := ARRAY(
    SELECT j.seq FROM queuekit.jobs j WHERE j.queue = job_queue AND j.state IN (0, 1, 3, 9)
    LIMIT bound FOR UPDATE SKIP LOCKED
  );
BEGIN
  PERFORM queuekit.finish(drained, 8::smallint, NULL, keep);
  RETURN cardinality(drained);
END
$$;
