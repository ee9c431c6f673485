-- Times and durations are microseconds (UTC), by the server's clock.
-- state: a number of queuekit.codes; of records SUCCEEDED, FAILED or CANCELLED.
-- settled: how the run settled_delivery ended: by one of these three, or RETRIED, SNOOZED, RELEASED, DIED.
-- key_for: how long the job holds its key: so long from enqueued_at on; 0: until it has started; null: until its end.
-- origin: the id with which the payload was enqueued, if that has replaced another.

CREATE TABLE queuekit.migrations (
  version integer PRIMARY KEY,
  name text NOT NULL,
  digest text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- The files of functions that were applied last; build: which number the bodies had (see schema.py).
CREATE TABLE queuekit.functions (
  name text PRIMARY KEY,
  digest text NOT NULL,
  build integer NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- When time was moved on last in each queue.
CREATE TABLE queuekit.ticks (
  queue text PRIMARY KEY,
  at bigint NOT NULL
) WITH (fillfactor = 50);

-- The live jobs, narrow: what is unusual is null and costs a bit.
CREATE TABLE queuekit.jobs (
  seq bigserial PRIMARY KEY,
  delivery bigint NOT NULL DEFAULT 0,
  enqueued_at bigint NOT NULL,
  scheduled_at bigint,
  started_at bigint,
  leased_until bigint,
  lease bigint,
  claim bigint,
  expires_at bigint,
  own_lease bigint,
  renewed_at bigint,
  settled_delivery bigint,
  key_for bigint,
  keep_age bigint,
  id uuid NOT NULL,
  origin uuid,
  attempt integer NOT NULL DEFAULT 0,
  max_attempts integer NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  keep_count integer,
  state smallint NOT NULL DEFAULT READY,
  priority smallint NOT NULL,
  lapses smallint NOT NULL DEFAULT 0,
  crashes smallint NOT NULL DEFAULT 0,
  max_lapses smallint NOT NULL DEFAULT LAPSES_ALLOWED,
  max_crashes smallint NOT NULL DEFAULT DEATHS_ALLOWED,
  settled smallint,
  cancel_requested boolean NOT NULL DEFAULT false,
  queue text NOT NULL,
  task text NOT NULL,
  payload text NOT NULL,
  claimant text,
  key text,
  extra text,
  progress text,
  tags text[],
  errors text[],
  history text[],
  logs text[],
  UNIQUE (id, queue)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX jobs_ready ON queuekit.jobs (queue, priority, seq) WHERE state = READY;
CREATE INDEX jobs_suspect ON queuekit.jobs (queue, priority, seq) WHERE state = SUSPECT;
CREATE INDEX jobs_running ON queuekit.jobs (queue, leased_until) WHERE state = RUNNING;
CREATE INDEX jobs_scheduled ON queuekit.jobs (queue, scheduled_at) WHERE state = SCHEDULED;
CREATE INDEX jobs_waiting ON queuekit.jobs (queue, key) WHERE state = WAITING;
CREATE INDEX jobs_expiring ON queuekit.jobs (queue, expires_at)
  WHERE expires_at IS NOT NULL AND attempt = 0 AND state <> RUNNING AND state <> WAITING;
CREATE INDEX jobs_origin ON queuekit.jobs (origin) WHERE origin IS NOT NULL;
CREATE INDEX jobs_solitary ON queuekit.jobs (queue, state, priority, seq) WHERE lapses >= SOLITARY_AFTER;

-- The finished jobs, by the day on which they may be forgotten. A row past kept_until is hidden, but for two more
-- minutes at least it answers for its id, for repeated acks, and to those who waited for the job's end.
CREATE TABLE queuekit.records (
  kept_until bigint NOT NULL,
  delivery bigint NOT NULL,
  enqueued_at bigint NOT NULL,
  scheduled_at bigint,
  started_at bigint,
  finished_at bigint NOT NULL,
  expires_at bigint,
  own_lease bigint,
  settled_delivery bigint,
  key_for bigint,
  keep_age bigint,
  id uuid NOT NULL,
  origin uuid,
  attempt integer NOT NULL,
  max_attempts integer NOT NULL,
  generation integer NOT NULL,
  keep_count integer,
  state smallint NOT NULL,
  priority smallint NOT NULL,
  lapses smallint NOT NULL,
  crashes smallint NOT NULL,
  max_lapses smallint NOT NULL,
  max_crashes smallint NOT NULL,
  settled smallint,
  awaited boolean NOT NULL,
  queue text NOT NULL,
  task text NOT NULL,
  payload text NOT NULL,
  key text,
  extra text,
  progress text,
  reason text,
  result text,
  tags text[],
  errors text[],
  history text[],
  logs text[]
) PARTITION BY RANGE (kept_until);
CREATE INDEX records_id ON queuekit.records (id, queue);
CREATE INDEX records_succeeded ON queuekit.records (queue, task, kept_until) WHERE state = SUCCEEDED;
CREATE INDEX records_unsuccessful ON queuekit.records (queue) WHERE state <> SUCCEEDED;
CREATE TABLE queuekit.records_other PARTITION OF queuekit.records DEFAULT;
CREATE INDEX records_other_kept ON queuekit.records_other (kept_until);

CREATE TABLE queuekit.keys (
  queue text NOT NULL,
  key text NOT NULL,
  id uuid NOT NULL,
  expires_at bigint,
  PRIMARY KEY (queue, key)
);
CREATE INDEX keys_expiring ON queuekit.keys (expires_at) WHERE expires_at IS NOT NULL;

-- tick: the next one; null: it is finished. fired: of each of the last ticks its identity, when it fired, and its job's id
-- or null.
CREATE TABLE queuekit.schedules (
  queue text NOT NULL,
  name text NOT NULL,
  rule text NOT NULL,
  job text NOT NULL,
  tick text,
  due_at bigint,
  paused boolean NOT NULL,
  count integer NOT NULL,
  fired jsonb NOT NULL,
  PRIMARY KEY (queue, name)
);
CREATE INDEX schedules_name ON queuekit.schedules (name);
CREATE INDEX schedules_due ON queuekit.schedules (queue, due_at) WHERE due_at IS NOT NULL AND NOT paused;

-- Of queues that are in a cutover; gate: all of it, see queuekit.backend.Gate.
CREATE TABLE queuekit.gates (
  queue text PRIMARY KEY,
  gate text NOT NULL,
  epoch bigint NOT NULL,
  active boolean NOT NULL,
  shut boolean NOT NULL,
  other text NOT NULL
);

-- In such queues: of jobs that are not this store's to run, and tombstones. kind: held, moving or done; epoch: of one that
-- moves.
CREATE TABLE queuekit.copies (
  id uuid NOT NULL,
  queue text NOT NULL,
  kind text NOT NULL,
  generation integer NOT NULL,
  epoch bigint NOT NULL,
  delivery bigint NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (id, queue)
);
CREATE INDEX copies_kind ON queuekit.copies (queue, kind, id);

-- What was found of a job for a step of a cutover (see `swap`), and why nothing is done. n: its place in the batch, from 1.
CREATE TYPE queuekit.step AS (
  n integer, id uuid, queue text, kind text, generation integer, epoch bigint, delivery bigint, refused text
);

-- Whole jobs, live and finished. follows: the job whose end a waiting one waits for, which holds their key.
CREATE VIEW queuekit.living AS
SELECT id, task, queue, payload, key, priority, max_attempts, own_lease, max_crashes, max_lapses, key_for, keep_age,
  keep_count, tags, extra, state, attempt, delivery, lapses, crashes, generation, cancel_requested, NULL::text AS reason,
  enqueued_at, scheduled_at, started_at, NULL::bigint AS finished_at, expires_at, leased_until,
  NULL::bigint AS kept_until, NULL::text AS result, errors, history, progress, logs, claimant, claim, lease, settled,
  settled_delivery, origin, CASE WHEN state = WAITING THEN (
    SELECT k.id FROM queuekit.keys k WHERE k.queue = jobs.queue AND k.key = jobs.key
  ) END AS follows
FROM queuekit.jobs;

CREATE VIEW queuekit.ended AS
SELECT id, task, queue, payload, key, priority, max_attempts, own_lease, max_crashes, max_lapses, key_for, keep_age,
  keep_count, tags, extra, state, attempt, delivery, lapses, crashes, generation, false AS cancel_requested, reason,
  enqueued_at, scheduled_at, started_at, finished_at, expires_at, NULL::bigint AS leased_until,
  kept_until, result, errors, history, progress, logs, NULL::text AS claimant, NULL::bigint AS claim,
  NULL::bigint AS lease, settled, settled_delivery, origin, NULL::uuid AS follows
FROM queuekit.records;

-- Those that are not hidden.
CREATE VIEW queuekit.finished AS
SELECT * FROM queuekit.ended WHERE kept_until > (SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint);

CREATE VIEW queuekit.entries AS
SELECT * FROM queuekit.living UNION ALL SELECT * FROM queuekit.finished;

CREATE TABLE queuekit.queues (
  name text PRIMARY KEY,
  paused boolean NOT NULL
);

-- What a crash of the server may take: all of it is said again within seconds.
CREATE UNLOGGED TABLE queuekit.sleepers (
  process text PRIMARY KEY,
  queues text[] NOT NULL,
  until bigint NOT NULL
);
CREATE UNLOGGED TABLE queuekit.waiters (
  id uuid NOT NULL,
  queue text NOT NULL,
  process text NOT NULL,
  since bigint NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (id, queue, process)
);
CREATE UNLOGGED TABLE queuekit.presences (
  process text PRIMARY KEY,
  presence text NOT NULL,
  seen_at bigint NOT NULL,
  ttl bigint NOT NULL
);

-- What an enqueue may ask for beyond a plain job.
CREATE TYPE queuekit.options AS (
  queue text,
  priority smallint,
  max_attempts integer,
  delay bigint,
  due bigint,
  expires bigint,
  lease bigint,
  max_crashes smallint,
  max_lapses smallint,
  key_policy text,
  key_for bigint,
  keep_age bigint,
  keep_count integer,
  tags text[],
  extra text,
  replicated boolean
);

-- What an enqueue depends on: an epoch (null: any will do), and a deadline (null: there is none).
CREATE TYPE queuekit.guard AS (epoch bigint, until bigint);

-- What became of one job.
-- n: its place in the batch, from 1, where that is told. found: the state that was found (null: no such job). now: the
-- state that it has come to (null: it is gone). refused: why nothing was done (null: it was). holder: the id that holds
-- its key, or that it should follow. task, reason: of one that the store itself has failed.
CREATE TYPE queuekit.change AS (
  n integer, queue text, id uuid, found smallint, now smallint, generation integer, refused text, holder uuid, task text,
  reason text
);

-- How a job is to end. n: its place in a batch. age and count: the retention of its record, unless the job has its own;
-- delivery and error: of the run that is acked so.
CREATE TYPE queuekit.ending AS (
  n integer, seq bigint, state smallint, reason text, age bigint, count integer, delivery bigint, error text
);

-- What the store looks at in a whole job that comes from elsewhere. n: its place in the batch, from 1. holds: whether it
-- holds its key, until key_until (null: until it is freed).
CREATE TYPE queuekit.arrival AS (
  n integer, id uuid, queue text, key text, state smallint, holds boolean, key_until bigint, follows uuid, kept_until bigint
);
