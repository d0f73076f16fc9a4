-- What people ask for: experiments, their jobs, and which job waits for which.
-- Read it in psql with \d+ TABLE and \dT+; every table and every column that is not plain says what it means.

CREATE TYPE job_state AS ENUM ('blocked', 'queued', 'running', 'succeeded', 'failed', 'cancelled');
COMMENT ON TYPE job_state IS
    'blocked: waits for the jobs it starts from. queued: waits for workers. running: an attempt holds workers. '
    'succeeded, failed, cancelled: at an end, for good.';

CREATE TABLE experiments (
    id              uuid PRIMARY KEY,
    name            text NOT NULL CHECK (name <> ''),
    owner           text NOT NULL,
    toml            text NOT NULL,
    file_name       text NOT NULL,
    fresh           boolean NOT NULL,
    idempotency_key text UNIQUE CHECK (idempotency_key <> ''),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE experiments IS 'What a person submitted: one file, a small graph of jobs.';
COMMENT ON COLUMN experiments.name IS 'As in the file. Not unique: the newest experiment of a name is the one meant.';
COMMENT ON COLUMN experiments.owner IS 'Who submitted it; until tokens exist, what the client said.';
COMMENT ON COLUMN experiments.toml IS 'The file as written.';
COMMENT ON COLUMN experiments.file_name IS 'Its name on the disk of the submitter.';
COMMENT ON COLUMN experiments.fresh IS 'Submitted with --fresh: shares no job with any other experiment.';
COMMENT ON COLUMN experiments.idempotency_key IS 'Chosen by the client. A submit that is sent twice is one experiment.';
CREATE INDEX experiments_by_name ON experiments (name, created_at DESC);
CREATE INDEX experiments_by_age ON experiments (created_at DESC);
CREATE INDEX experiments_by_prefix ON experiments ((id::text) text_pattern_ops);

CREATE TABLE jobs (
    id            uuid PRIMARY KEY,
    experiment_id uuid NOT NULL REFERENCES experiments,
    name          text NOT NULL CHECK (name <> ''),
    stage         text NOT NULL,
    spec          jsonb NOT NULL,
    content_key   text NOT NULL CHECK (content_key <> ''),
    state         job_state NOT NULL,
    reason        text NOT NULL DEFAULT '',
    workers_min   integer NOT NULL CHECK (workers_min >= 1),
    workers_max   integer NOT NULL CHECK (workers_max >= workers_min),
    shards        integer NOT NULL CHECK (shards >= 1),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    queued_at     timestamptz,
    not_before    timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    CONSTRAINT jobs_end_has_a_time CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
    CONSTRAINT jobs_queued_has_a_place CHECK (queued_at IS NOT NULL OR state NOT IN ('queued', 'running'))
) WITH (fillfactor = 80);
COMMENT ON TABLE jobs IS 'One node of an experiment after sweeps are expanded: what is scheduled, trained and measured.';
COMMENT ON COLUMN jobs.experiment_id IS 'The experiment that brought it. Others may share it: see experiment_jobs.';
COMMENT ON COLUMN jobs.spec IS 'Everything that training is told: domain::spec::JobSpec.';
COMMENT ON COLUMN jobs.content_key IS 'Hash of what determines the result. Two jobs of equal content are one job.';
COMMENT ON COLUMN jobs.reason IS 'Why it waits, failed or was cancelled, for a person.';
COMMENT ON COLUMN jobs.workers_min IS 'A gang has between workers_min and workers_max workers, a divisor of shards.';
COMMENT ON COLUMN jobs.shards IS 'Logical parts of a batch. Results depend on shards, never on the number of workers.';
COMMENT ON COLUMN jobs.queued_at IS 'Its place in the queue; kept when an attempt is lost.';
COMMENT ON COLUMN jobs.not_before IS 'The wait after a lost attempt.';
COMMENT ON COLUMN jobs.started_at IS 'First attempt assigned.';
-- A job that failed or was cancelled does not stand in the way of the same content, tried again.
CREATE UNIQUE INDEX jobs_one_per_content ON jobs (content_key)
    WHERE state IN ('blocked', 'queued', 'running', 'succeeded');
CREATE INDEX jobs_queue ON jobs (queued_at, id) WHERE state = 'queued';
CREATE INDEX jobs_blocked ON jobs (id) WHERE state = 'blocked';
CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
CREATE INDEX jobs_by_experiment ON jobs (experiment_id);
CREATE INDEX jobs_by_end ON jobs (finished_at DESC) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_by_prefix ON jobs ((id::text) text_pattern_ops);

CREATE TABLE experiment_jobs (
    experiment_id uuid NOT NULL REFERENCES experiments,
    name          text NOT NULL,
    job_id        uuid NOT NULL REFERENCES jobs,
    position      integer NOT NULL,
    reused        boolean NOT NULL,
    withdrawn_at  timestamptz,
    PRIMARY KEY (experiment_id, name)
);
COMMENT ON TABLE experiment_jobs IS 'The jobs of an experiment, by the names its file gives them.';
COMMENT ON COLUMN experiment_jobs.position IS 'Order of the graph: a job stands after those it starts from.';
COMMENT ON COLUMN experiment_jobs.reused IS 'The job was there already, from an experiment with the same content.';
COMMENT ON COLUMN experiment_jobs.withdrawn_at IS
    'The experiment was cancelled. A shared job goes on while another experiment wants it.';
CREATE INDEX experiment_jobs_by_job ON experiment_jobs (job_id);

CREATE TABLE job_dependencies (
    job_id     uuid NOT NULL REFERENCES jobs,
    depends_on uuid NOT NULL REFERENCES jobs,
    position   integer NOT NULL,
    PRIMARY KEY (job_id, depends_on),
    CONSTRAINT job_dependencies_not_itself CHECK (job_id <> depends_on)
);
COMMENT ON TABLE job_dependencies IS 'Which job starts from the results of which, in the order of spec.inputs.';
CREATE INDEX job_dependencies_by_input ON job_dependencies (depends_on);
