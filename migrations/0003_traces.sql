-- What a job leaves behind. Each row carries the fence of the attempt that wrote it.

CREATE TABLE progress (
    job_id            uuid PRIMARY KEY REFERENCES jobs,
    fence             bigint NOT NULL,
    phase             text NOT NULL DEFAULT '',
    step              bigint NOT NULL DEFAULT 0,
    steps             bigint NOT NULL DEFAULT 0,
    epoch             integer NOT NULL DEFAULT 0,
    epochs            integer NOT NULL DEFAULT 0,
    images_per_second double precision NOT NULL DEFAULT 0,
    seconds_left      double precision NOT NULL DEFAULT 0,
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE progress IS 'How far a job is: the newest word of rank 0. Overwritten; the history is in metrics.';
COMMENT ON COLUMN progress.phase IS 'What it does: "started", "data", "training", "evaluating".';
COMMENT ON COLUMN progress.images_per_second IS 'Of the whole gang.';

CREATE TABLE metrics (
    job_id uuid NOT NULL REFERENCES jobs,
    name   text NOT NULL CHECK (name <> ''),
    step   bigint NOT NULL CHECK (step >= 0),
    value  double precision NOT NULL,
    fence  bigint NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (job_id, name, step)
);
COMMENT ON TABLE metrics IS 'Curves: "loss", "knn_accuracy", ... A step that a later attempt repeats changes nothing.';

CREATE TABLE results (
    job_id uuid NOT NULL REFERENCES jobs,
    name   text NOT NULL CHECK (name <> ''),
    value  double precision NOT NULL,
    fence  bigint NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (job_id, name)
);
COMMENT ON TABLE results IS 'Final figures: "linear_accuracy", "loss", "seconds", ...';
CREATE INDEX results_by_value ON results (name, value);

CREATE TABLE checkpoints (
    job_id uuid NOT NULL REFERENCES jobs,
    step   bigint NOT NULL CHECK (step >= 0),
    path   text NOT NULL,
    sha256 text NOT NULL,
    bytes  bigint NOT NULL,
    fence  bigint NOT NULL,
    at     timestamptz NOT NULL,
    PRIMARY KEY (job_id, step)
);
COMMENT ON TABLE checkpoints IS 'Where a job can go on from. The row is written after the files are durable.';
COMMENT ON COLUMN checkpoints.path IS 'Folder in the store, relative to its root.';
COMMENT ON COLUMN checkpoints.sha256 IS 'Of the manifest, which names every file and its checksum.';

CREATE TABLE artifacts (
    id     uuid PRIMARY KEY,
    job_id uuid NOT NULL REFERENCES jobs,
    kind   text NOT NULL,
    name   text NOT NULL,
    uri    text NOT NULL,
    sha256 text NOT NULL,
    bytes  bigint NOT NULL,
    fence  bigint NOT NULL,
    at     timestamptz NOT NULL,
    UNIQUE (job_id, kind, name)
);
COMMENT ON TABLE artifacts IS 'Files that outlive the job: "encoder", "classifier".';
COMMENT ON COLUMN artifacts.uri IS 'Place in the store, relative to its root.';
CREATE INDEX artifacts_by_prefix ON artifacts ((id::text) text_pattern_ops);

CREATE TABLE events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    job_id     uuid REFERENCES jobs,
    attempt_id uuid REFERENCES attempts,
    worker_id  uuid REFERENCES workers,
    kind       text NOT NULL CHECK (kind <> ''),
    message    text NOT NULL
);
COMMENT ON TABLE events IS 'What happened, one row a transition, only ever appended. The times tell where time went.';
COMMENT ON COLUMN events.at IS 'By the database''s clock; for what a rank reports, by the clock of its machine.';
COMMENT ON COLUMN events.message IS 'For a person.';
CREATE INDEX events_by_job ON events (job_id, id);

CREATE TABLE logs (
    attempt_id uuid NOT NULL REFERENCES attempts,
    rank       integer NOT NULL,
    sequence   bigint NOT NULL,
    at         timestamptz NOT NULL,
    line       text NOT NULL,
    PRIMARY KEY (attempt_id, rank, sequence)
);
COMMENT ON TABLE logs IS 'What ranks wrote, line by line.';
COMMENT ON COLUMN logs.sequence IS 'Number of the report that brought it: grows per (attempt, rank), with gaps.';
