-- Storing jobs.

-- Gives an unfinished job the payload, options and due time of another one, and its place in line; of that one the id
-- is remembered.
CREATE OR REPLACE FUNCTION queuekit.replace(job uuid, job_queue text, new queuekit.jobs) RETURNS queuekit.change
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found smallint;
  became queuekit.change;
BEGIN
  SELECT j.state INTO found FROM queuekit.jobs j WHERE j.id = job AND j.queue = job_queue;
  PERFORM queuekit.finish_as_cancelled(new.seq, 0), queuekit.forget(ARRAY[new.id], ARRAY[job_queue]);
  UPDATE queuekit.jobs
  SET origin = new.id, task = new.task, payload = new.payload, priority = new.priority, max_attempts = new.max_attempts,
    scheduled_at = new.scheduled_at, expires_at = new.expires_at, own_lease = new.own_lease,
    max_lapses = new.max_lapses, max_crashes = new.max_crashes, key_for = new.key_for, keep_age = new.keep_age,
    keep_count = new.keep_count, tags = new.tags, extra = new.extra, seq = new.seq,
    state = CASE WHEN state = WAITING THEN state ELSE queuekit.ready_or_scheduled(lapses, new.scheduled_at) END
  WHERE id = job AND queue = job_queue
  RETURNING NULL, queue, id, found, state, generation, NULL, id, NULL, NULL INTO became;
  UPDATE queuekit.keys k SET expires_at = queuekit.key_expires(j)
  FROM queuekit.jobs j
  WHERE j.id = job AND j.queue = job_queue AND k.queue = job_queue AND k.key = new.key AND k.id = job;
  RETURN became;
END
$$;

-- Inserts a job, unless its id is there: then null.
CREATE OR REPLACE FUNCTION queuekit.place(job uuid, job_task text, job_payload text, job_key text, o queuekit.options)
RETURNS queuekit.jobs LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  now bigint := queuekit.now_us();
  due bigint := coalesce(o.due, now + nullif(o.delay, 0));
  new queuekit.jobs;
BEGIN
  IF o.replicated AND current_setting('synchronous_standby_names') = '' THEN
    RAISE 'The server has no synchronous replica; set synchronous_standby_names or leave out durability="replicated".'
      USING ERRCODE = 'data_exception';
  ELSIF o.replicated THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  INSERT INTO queuekit.jobs (
    id, queue, task, payload, state, priority, max_attempts, enqueued_at, scheduled_at, expires_at, own_lease,
    max_crashes, max_lapses, key, key_for, keep_age, keep_count, tags, extra
  ) VALUES (
    job, o.queue, job_task, job_payload, queuekit.ready_or_scheduled(0::smallint, due), o.priority, o.max_attempts,
    now, CASE WHEN due > now THEN due END, now + o.expires, o.lease, o.max_crashes, o.max_lapses, job_key, o.key_for,
    o.keep_age, o.keep_count, o.tags, o.extra
  )
  ON CONFLICT (id, queue) DO NOTHING RETURNING * INTO new;
  RETURN new;
END
$$;

-- Lets in a job that was inserted, or takes it out again: because the history knows it, which a later statement sees (its
-- snapshot is younger than any wait for a lock), because the gate of its queue refuses it, or because another job holds its key.
CREATE OR REPLACE FUNCTION queuekit.admit(
  new queuekit.jobs, key_policy text, recorded boolean, patient boolean, guard queuekit.guard
) RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  known queuekit.change;
  refused queuekit.change;
BEGIN
  IF recorded THEN
    known := queuekit.recorded(new.id, new.queue);
    IF known.id IS NOT NULL THEN
      DELETE FROM queuekit.jobs WHERE seq = new.seq;
      RETURN coalesce(queuekit.replaced(new.id, new.queue), known);
    END IF;
  END IF;
  IF guard.until IS NOT NULL OR EXISTS (SELECT FROM queuekit.gates g WHERE g.queue = new.queue) THEN
    refused := queuekit.at_gate(new.id, new.queue, new.key IS NOT NULL, patient, guard);
    IF refused.id IS NOT NULL THEN
      DELETE FROM queuekit.jobs WHERE seq = new.seq;
      RETURN refused;
    END IF;
  END IF;
  IF new.key IS NULL THEN
    RETURN queuekit.stored(new);
  END IF;
  RETURN queuekit.contend(new, key_policy, patient);
END
$$;

-- Stores one job.
CREATE OR REPLACE FUNCTION queuekit.store(
  job uuid, job_task text, job_payload text, job_key text, fresh boolean, o queuekit.options, patient boolean,
  guard queuekit.guard
) RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  new queuekit.jobs := queuekit.place(job, job_task, job_payload, job_key, o);
BEGIN
  IF new.id IS NULL THEN
    RETURN coalesce(queuekit.known(job, o.queue), queuekit.refused(job, o.queue, 'known', NULL));
  END IF;
  RETURN queuekit.admit(new, o.key_policy, NOT fresh, patient, guard);
END
$$;

-- Stores jobs one after the other and rings; gives what became of those that were not just stored, to run at once or after
-- their delay. options: one JSON object each. whole: if the queue of one has moved, none is stored. All are inserted before
-- the history is asked, for all of them at once, as each question goes to a table for each day. Callers' sessions may keep
-- a plan that was made for an empty table, hence the setting.
CREATE OR REPLACE FUNCTION queuekit.store_all(
  ids uuid[], tasks text[], payloads text[], keys text[], fresh boolean[], options text[], patient boolean, whole boolean,
  guard queuekit.guard
) RETURNS SETOF queuekit.change LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  given queuekit.options[];
  placed queuekit.jobs[];
  recorded uuid[];
  became queuekit.change;
  rung text[] := '{}';
BEGIN
  FOR n IN 1..coalesce(cardinality(ids), 0) LOOP
    given[n] := jsonb_populate_record(NULL::queuekit.options, options[n]::jsonb);
    placed[n] := queuekit.place(ids[n], tasks[n], payloads[n], keys[n], given[n]);
  END LOOP;
  IF false = ANY(fresh) THEN
    recorded := ARRAY(
      SELECT r.id FROM queuekit.records r WHERE r.id = ANY(ids) AND r.kept_until > queuekit.now_us() - REMEMBER_IDS
    );
  END IF;
  FOR n IN 1..coalesce(cardinality(ids), 0) LOOP
    IF placed[n].id IS NULL THEN
      became := queuekit.store(ids[n], tasks[n], payloads[n], keys[n], fresh[n], given[n], patient, guard);
    ELSE
      became := queuekit.admit(placed[n], given[n].key_policy, NOT fresh[n] AND ids[n] = ANY(recorded), patient, guard);
    END IF;
    IF whole AND became.refused = 'moved' THEN
      RAISE '%', became.queue USING ERRCODE = 'QK001', DETAIL = became.reason;
    END IF;
    IF became.found IS NOT NULL OR became.refused IS NOT NULL
      OR became.now <> (CASE WHEN given[n].delay > 0 THEN SCHEDULED ELSE READY END) THEN
      became.n := n;
      RETURN NEXT became;
    END IF;
    IF became.refused IS NULL AND became.now <> WAITING THEN
      rung := rung || given[n].queue;
    END IF;
  END LOOP;
  IF rung <> '{}' AND patient THEN
    PERFORM queuekit.ring(rung, cardinality(rung));
  ELSIF rung <> '{}' THEN
    PERFORM queuekit.ring_all(rung);
  END IF;
END
$$;

-- For triggers and other languages; in the caller's transaction. The id of the new job, or of the one with that key.
CREATE OR REPLACE FUNCTION queuekit.enqueue(
  task text,
  args jsonb DEFAULT '{}',
  queue text DEFAULT 'default',
  priority integer DEFAULT 0,
  delay interval DEFAULT '0',
  key text DEFAULT NULL,
  max_attempts integer DEFAULT 5
) RETURNS uuid LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  ms bigint := queuekit.now_us() / 1000;
  random bytea := uuid_send(gen_random_uuid());
  id uuid; -- version 7: milliseconds, then random bits
  o queuekit.options;
  became queuekit.change;
BEGIN
  -- IS NOT TRUE, as a null is refused, too.
  IF (task ~ '^[A-Za-z0-9_.:/-]{1,128}$' AND queue ~ '^[A-Za-z0-9_.:/-]{1,128}$') IS NOT TRUE THEN
    RAISE 'Names of tasks and queues are 1 to 128 of the characters A-Z a-z 0-9 _ . : / -' USING ERRCODE = '22023';
  ELSIF jsonb_typeof(args) IS DISTINCT FROM 'object' THEN
    RAISE 'args must be a JSON object: the task''s arguments by name' USING ERRCODE = '22023';
  ELSIF (priority BETWEEN -100 AND 100) IS NOT TRUE THEN
    RAISE 'priority must be -100 to 100, not %', priority USING ERRCODE = '22023';
  ELSIF (extract(epoch FROM delay) BETWEEN 0 AND 316224000) IS NOT TRUE THEN
    RAISE 'delay must be an interval of 0 to 3660 days, not %', delay USING ERRCODE = '22023';
  ELSIF (max_attempts BETWEEN 1 AND 32767) IS NOT TRUE THEN
    RAISE 'max_attempts must be 1 to 32767, not %', max_attempts USING ERRCODE = '22023';
  ELSIF octet_length(key) NOT BETWEEN 1 AND 255 THEN
    RAISE 'key must have 1 to 255 bytes, or be null' USING ERRCODE = '22023';
  END IF;
  random := set_byte(random, 6, (get_byte(random, 6) & 15) | 112);
  id := encode(overlay(random PLACING substring(int8send(ms) FROM 3) FROM 1 FOR 6), 'hex')::uuid;
  o.queue := queue;
  o.priority := priority;
  o.max_attempts := max_attempts;
  o.delay := (extract(epoch FROM delay) * 1000000)::bigint;
  o.max_crashes := DEATHS_ALLOWED;
  o.max_lapses := LAPSES_ALLOWED;
  o.key_policy := 'reject';
  became := queuekit.store(id, task, '{"v":1,"a":' || args::text || '}', key, true, o, false, NULL);
  IF became.refused = 'moved' THEN
    RAISE 'Queue % has moved to %: enqueue there', queue, became.reason USING ERRCODE = 'QK001';
  END IF;
  PERFORM queuekit.ring_all(ARRAY[queue]);
  RETURN coalesce(became.holder, id);
END
$$;
