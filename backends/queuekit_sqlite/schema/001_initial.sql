-- The states of jobs are numbers of queuekit.codes. Times and durations are microseconds.

CREATE TABLE migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL -- of its file
);

-- Finished jobs stay in the table of the live ones until their retention is over: ending a job is then one update in
-- place, half the work of moving its row. Live jobs are found by partial indexes alone, so what has finished slows nobody.
-- An index costs each change of a state an evaluation of its condition: there are few, and their conditions are simple.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY, -- its place in line; new whenever it becomes ready, except by release or lapse
    id BLOB NOT NULL,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    delivery INTEGER NOT NULL DEFAULT 0,
    lapses INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    enqueued_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    kept_until INTEGER, -- the end of its retention
    spared_until INTEGER, -- no count cuts its record before, as somebody waited for it
    leased_until INTEGER,
    lease INTEGER, -- the length of the present lease
    claimant TEXT, -- the process that has claimed it
    claim INTEGER, -- the number of its fetch
    settled INTEGER, -- how the last run, of this delivery, was settled; NULL: its lease has lapsed
    settled_delivery INTEGER,
    task TEXT NOT NULL,
    payload TEXT NOT NULL,
    result TEXT,
    extra TEXT NOT NULL DEFAULT '',
    scheduled_at INTEGER,
    expires_at INTEGER, -- counts until its first attempt
    own_lease INTEGER,
    max_crashes INTEGER NOT NULL DEFAULT DEATHS_ALLOWED,
    max_lapses INTEGER NOT NULL DEFAULT LAPSES_ALLOWED,
    key TEXT,
    key_until, -- 'started', 'finished' (or NULL) or microseconds from the enqueue
    keep_age INTEGER, -- its own retention
    keep_count INTEGER,
    tags TEXT, -- a JSON array
    follows BLOB, -- the id of the job of its key that it waits for
    origin BLOB, -- the id of the job that replaced it last
    renewed_at INTEGER, -- its lease was given anew then, after an outage
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    errors TEXT, -- a JSON array, as are the next two
    history TEXT,
    logs TEXT,
    progress TEXT
);

CREATE UNIQUE INDEX jobs_id ON jobs (id, queue);
CREATE INDEX jobs_ready ON jobs (queue, priority, seq) WHERE state = READY;
CREATE INDEX jobs_aside ON jobs (state, queue, priority, seq) WHERE state > READY AND state < RUNNING;
CREATE INDEX jobs_scheduled ON jobs (queue, scheduled_at) WHERE state = SCHEDULED;
CREATE INDEX jobs_expiring ON jobs (queue, expires_at) WHERE expires_at IS NOT NULL AND state < WAITING AND attempt = 0;
CREATE INDEX jobs_followers ON jobs (follows) WHERE follows IS NOT NULL;
CREATE INDEX jobs_running ON jobs (leased_until) WHERE state = RUNNING;
CREATE INDEX jobs_cancelling ON jobs (seq) WHERE cancel_requested = 1 AND state = RUNNING;
CREATE INDEX jobs_succeeded ON jobs (queue, task, kept_until) WHERE state = SUCCEEDED;
CREATE INDEX jobs_failed ON jobs (queue, kept_until, state) WHERE state > SUCCEEDED;

CREATE TABLE ids ( -- of jobs that are gone
    id BLOB NOT NULL,
    queue TEXT NOT NULL,
    settled INTEGER,
    settled_delivery INTEGER,
    forget_at INTEGER NOT NULL,
    PRIMARY KEY (id, queue)
) WITHOUT ROWID;

CREATE INDEX ids_forget ON ids (forget_at);

CREATE TABLE kinds ( -- of succeeded jobs; so that their retention takes a single index
    queue TEXT NOT NULL,
    task TEXT NOT NULL,
    most INTEGER, -- so many are kept; NULL: all
    next_end INTEGER, -- no retention ends earlier; NULL: there are none left
    grown INTEGER NOT NULL, -- since they were counted last
    PRIMARY KEY (queue, task)
) WITHOUT ROWID;

CREATE TABLE keys (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    id BLOB NOT NULL, -- the job that holds it
    until INTEGER, -- NULL: until it is freed
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;

CREATE INDEX keys_until ON keys (until) WHERE until IS NOT NULL;

CREATE TABLE pauses (queue TEXT PRIMARY KEY) WITHOUT ROWID;

CREATE TABLE presences (
    process TEXT PRIMARY KEY,
    body TEXT NOT NULL, -- a JSON object
    address TEXT NOT NULL, -- of its doorbell; '': it has none
    seen_at INTEGER NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE sleepers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a sleeper whose row is gone has been rung
    process TEXT NOT NULL,
    address TEXT NOT NULL,
    queues TEXT NOT NULL, -- one a line
    until INTEGER NOT NULL
);

CREATE TABLE waiters ( -- for a job's end
    id BLOB NOT NULL,
    queue TEXT NOT NULL,
    address TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (id, queue, address)
) WITHOUT ROWID;

CREATE TABLE ticks ( -- when somebody maintained a queue last
    queue TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE schedules (
    queue TEXT NOT NULL,
    name TEXT NOT NULL,
    rule TEXT NOT NULL,
    job TEXT NOT NULL,
    tick TEXT, -- the next one; NULL: it is finished
    due_at INTEGER,
    paused INTEGER NOT NULL,
    count INTEGER NOT NULL,
    fired TEXT NOT NULL, -- a JSON array: of each of the last ticks its identity, when it fired, and its job's id or null
    PRIMARY KEY (queue, name)
) WITHOUT ROWID;

CREATE INDEX schedules_name ON schedules (name);
CREATE INDEX schedules_due ON schedules (queue, due_at) WHERE due_at IS NOT NULL AND paused = 0;

CREATE TABLE gates ( -- of queues that are in a cutover
    queue TEXT PRIMARY KEY,
    gate TEXT NOT NULL -- see `queuekit.backend.Gate`
) WITHOUT ROWID;

CREATE TABLE copies ( -- in such queues: of jobs that are not this store's to run, and tombstones
    id BLOB NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL, -- held, moving or done
    generation INTEGER NOT NULL,
    epoch INTEGER NOT NULL, -- of one that moves
    delivery INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (id, queue)
) WITHOUT ROWID;

CREATE INDEX copies_kind ON copies (queue, kind, id);
