-- One side of a cutover: see queuekit/backend/sides.py.

-- The lock of a queue's gate: whoever goes by the gate, or by the copies of the queue, and then writes shares it.
CREATE OR REPLACE FUNCTION queuekit.gate_lock(gate_queue text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('queuekit.gates ' || gate_queue, 0)
$$;

-- Why the gate of a queue refuses a new job; null: it does not. What there is a copy of is known.
CREATE OR REPLACE FUNCTION queuekit.at_gate(job uuid, job_queue text, patient boolean, guard queuekit.guard)
RETURNS queuekit.change LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  gate queuekit.gates;
  refused queuekit.change;
BEGIN
  IF patient THEN
    PERFORM pg_advisory_xact_lock_shared(queuekit.gate_lock(job_queue));
  END IF;
  IF EXISTS (SELECT FROM queuekit.copies c WHERE c.id = job AND c.queue = job_queue) THEN
    RETURN queuekit.refused(job, job_queue, 'known', NULL);
  END IF;
  SELECT * INTO gate FROM queuekit.gates g WHERE g.queue = job_queue;
  IF gate.shut THEN
    refused := queuekit.refused(job, job_queue, 'moved', NULL);
    refused.reason := gate.other;
  ELSIF guard.epoch <> coalesce(gate.epoch, 0) THEN
    refused := queuekit.refused(job, job_queue, 'stale', NULL);
  ELSIF queuekit.now_us() > guard.until THEN
    refused := queuekit.refused(job, job_queue, 'late', NULL);
  END IF;
  RETURN refused;
END
$$;

-- What goes leaves a tombstone if its queue is in a cutover, unless there is one of a later generation.
CREATE OR REPLACE FUNCTION queuekit.bury(job uuid, job_queue text, job_generation integer) RETURNS void
LANGUAGE sql VOLATILE AS $$
  INSERT INTO queuekit.copies AS c (id, queue, kind, generation, epoch, delivery, text)
  SELECT job, job_queue, 'done', job_generation, 0, 0, '' FROM queuekit.gates g WHERE g.queue = job_queue
  ON CONFLICT (id, queue) DO UPDATE
  SET kind = excluded.kind, generation = excluded.generation, epoch = 0, delivery = 0, text = ''
  WHERE c.generation <= excluded.generation
$$;

-- How many copies there are of each kind.
CREATE OR REPLACE FUNCTION queuekit.census(of_queue text) RETURNS TABLE (kind text, copies bigint) LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN j.state = RUNNING THEN 'running' ELSE 'live' END, count(*) FROM queuekit.jobs j
  WHERE j.queue = of_queue GROUP BY 1
  UNION ALL
  SELECT 'failed', count(*) FROM queuekit.records r
  WHERE r.queue = of_queue AND r.state <> SUCCEEDED AND r.kept_until > queuekit.now_us() HAVING count(*) > 0
  UNION ALL
  SELECT c.kind, count(*) FROM queuekit.copies c WHERE c.queue = of_queue GROUP BY c.kind
$$;

-- Puts another gate in place of the one that somebody has seen (null: none), unless there are copies of some kinds; the
-- one that is there then.
CREATE OR REPLACE FUNCTION queuekit.turn(gate_queue text, before text, new queuekit.gates, without text[]) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  found text;
BEGIN
  PERFORM pg_advisory_xact_lock(queuekit.gate_lock(gate_queue));
  SELECT g.gate INTO found FROM queuekit.gates g WHERE g.queue = gate_queue;
  IF found IS DISTINCT FROM before
    OR EXISTS (SELECT FROM queuekit.census(gate_queue) AS c WHERE c.kind = ANY(without)) THEN
    RETURN found;
  END IF;
  DELETE FROM queuekit.gates g WHERE g.queue = gate_queue;
  INSERT INTO queuekit.gates SELECT new.* WHERE new.gate IS NOT NULL;
  RETURN new.gate;
END
$$;

-- What is there of a job: without a text if it is a job or a record.
CREATE OR REPLACE FUNCTION queuekit.look(job uuid, job_queue text) RETURNS queuekit.copies LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  live queuekit.jobs;
  old queuekit.records;
  put queuekit.copies;
BEGIN
  SELECT * INTO live FROM queuekit.jobs j WHERE j.id = job AND j.queue = job_queue;
  IF FOUND THEN
    RETURN (job, job_queue, CASE WHEN live.state = RUNNING THEN 'running' ELSE 'live' END, live.generation, 0,
      live.delivery, '')::queuekit.copies;
  END IF;
  SELECT * INTO put FROM queuekit.copies c WHERE c.id = job AND c.queue = job_queue;
  IF put.kind <> 'done' THEN
    RETURN put;
  END IF;
  SELECT * INTO old FROM queuekit.records r WHERE r.id = job AND r.queue = job_queue ORDER BY r.finished_at DESC LIMIT 1;
  IF old.kept_until > queuekit.now_us() AND old.state = SUCCEEDED THEN
    RETURN (job, job_queue, 'done', old.generation, 0, 0, '')::queuekit.copies;
  ELSIF old.kept_until > queuekit.now_us() THEN
    RETURN (job, job_queue, 'failed', old.generation, 0, old.delivery, '')::queuekit.copies;
  ELSIF put.kind IS NOT NULL THEN
    RETURN put;
  ELSIF old.kept_until > queuekit.now_us() - REMEMBER_IDS THEN
    RETURN (job, job_queue, 'done', FOR_EVER, 0, 0, '')::queuekit.copies;
  END IF;
  RETURN (job, job_queue, 'absent', 0, 0, 0, '')::queuekit.copies;
END
$$;

-- Ids of jobs of one state, in an order: from behind a place in it, which consists of two numbers.
CREATE OR REPLACE FUNCTION queuekit.page_of_line(of_queue text, code integer, first bigint, second bigint, bound integer)
RETURNS TABLE (job uuid, before bigint, behind bigint) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF code = READY THEN
    RETURN QUERY SELECT j.id, j.priority::bigint, j.seq FROM queuekit.jobs j
    WHERE j.state = READY AND j.queue = of_queue AND (j.priority, j.seq) > (first, second)
    ORDER BY j.priority, j.seq LIMIT bound;
  ELSIF code = SCHEDULED THEN
    RETURN QUERY SELECT j.id, j.scheduled_at, j.seq FROM queuekit.jobs j
    WHERE j.state = SCHEDULED AND j.queue = of_queue AND (j.scheduled_at, j.seq) > (first, second)
    ORDER BY j.scheduled_at, j.seq LIMIT bound;
  ELSE
    RETURN QUERY SELECT j.id, j.priority::bigint, j.seq FROM queuekit.jobs j
    WHERE j.state = code AND j.queue = of_queue AND (j.priority, j.seq) > (first, second)
    ORDER BY j.priority, j.seq LIMIT bound;
  END IF;
END
$$;

-- Puts something else in place of copies, each for itself, if they are what somebody has seen. given: a JSON array of
-- objects: id, queue, before (a copy), epoch, until (null: no deadline), after (a copy), and of what becomes a job or a record
-- all columns in whole. Gives for each what was found, and why nothing was done. The lock is not shared: two who hold the
-- same job would not see each other.
CREATE OR REPLACE FUNCTION queuekit.swap(given jsonb)
RETURNS TABLE (kind text, generation integer, epoch bigint, delivery bigint, refused text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  one jsonb;
  gate_epoch bigint;
  found queuekit.copies;
  before queuekit.copies;
  after queuekit.copies;
  arrivals jsonb := '[]';
BEGIN
  PERFORM pg_advisory_xact_lock(l) FROM (
    SELECT DISTINCT queuekit.gate_lock(g ->> 'queue') AS l FROM jsonb_array_elements(given) AS g ORDER BY l
  ) AS locks;
  FOR one IN SELECT * FROM jsonb_array_elements(given) LOOP
    PERFORM FROM queuekit.jobs j WHERE j.id = (one ->> 'id')::uuid AND j.queue = one ->> 'queue' FOR UPDATE;
    SELECT g.epoch INTO gate_epoch FROM queuekit.gates g WHERE g.queue = one ->> 'queue';
    found := queuekit.look((one ->> 'id')::uuid, one ->> 'queue');
    before := jsonb_populate_record(NULL::queuekit.copies, one -> 'before');
    after := jsonb_populate_record(found, one -> 'after');
    refused := CASE
      WHEN (gate_epoch = (one ->> 'epoch')::bigint) IS NOT TRUE THEN 'stale'
      WHEN queuekit.now_us() > (one ->> 'until')::bigint THEN 'late'
      WHEN found.kind = 'running'
        OR (found.kind, found.generation, found.epoch, found.delivery)
          <> (before.kind, before.generation, before.epoch, before.delivery) THEN 'changed'
    END;
    IF refused IS NULL THEN
      DELETE FROM queuekit.jobs j WHERE found.kind = 'live' AND j.id = found.id AND j.queue = found.queue;
      DELETE FROM queuekit.records r WHERE found.kind = 'failed' AND r.id = found.id AND r.queue = found.queue;
      DELETE FROM queuekit.copies c WHERE c.id = found.id AND c.queue = found.queue;
      IF one ? 'whole' THEN
        arrivals := arrivals || jsonb_build_array(one -> 'whole' || jsonb_build_object('n', jsonb_array_length(arrivals) + 1));
      ELSIF after.kind <> 'absent' THEN
        INSERT INTO queuekit.copies SELECT after.*;
      END IF;
    END IF;
    kind := found.kind;
    generation := found.generation;
    epoch := found.epoch;
    delivery := found.delivery;
    RETURN NEXT;
  END LOOP;
  IF arrivals <> '[]' THEN
    PERFORM queuekit.transfer(arrivals);
  END IF;
END
$$;
