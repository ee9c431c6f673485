-- Small parts that the other files share. Everywhere: a function that writes is VOLATILE, so that each of its statements
-- sees what was committed before it began.

CREATE OR REPLACE FUNCTION queuekit.now_us() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint
$$;

-- Nothing was done; of a job that is not there, or of which nothing else is told.
CREATE OR REPLACE FUNCTION queuekit.refused(job uuid, job_queue text, why text, holder uuid) RETURNS queuekit.change
LANGUAGE sql IMMUTABLE AS $$
  SELECT NULL::integer, job_queue, job, NULL::smallint, NULL::smallint, 0, why, holder, NULL::text, NULL::text
$$;

-- A new job.
CREATE OR REPLACE FUNCTION queuekit.stored(job queuekit.jobs) RETURNS queuekit.change LANGUAGE sql IMMUTABLE AS $$
  SELECT NULL::integer, job.queue, job.id, NULL::smallint, job.state, job.generation, NULL::text, NULL::uuid, NULL::text,
    NULL::text
$$;

-- A live job, locked.
CREATE OR REPLACE FUNCTION queuekit.live(job uuid, job_queue text) RETURNS queuekit.jobs LANGUAGE sql VOLATILE AS $$
  SELECT * FROM queuekit.jobs j WHERE j.id = job AND j.queue = job_queue FOR UPDATE
$$;

-- A record that is not hidden, locked.
CREATE OR REPLACE FUNCTION queuekit.record(job uuid, job_queue text) RETURNS queuekit.records LANGUAGE sql VOLATILE AS $$
  SELECT * FROM queuekit.records r WHERE r.id = job AND r.queue = job_queue AND r.kept_until > queuekit.now_us()
  ORDER BY r.finished_at DESC LIMIT 1 FOR UPDATE
$$;
