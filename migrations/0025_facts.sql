-- What is asked of jobs, in columns: a search over all of them reads an index and not a spec each. This only creates: rows of
-- jobs that are there already are made by the leader while the house works, and `facts_filled` says how far it is.

CREATE TABLE job_facts (
    job_id         uuid PRIMARY KEY REFERENCES jobs,
    experiment_id  uuid NOT NULL,
    experiment     text NOT NULL,
    job            text NOT NULL,
    owner          text NOT NULL,
    stage          text NOT NULL,
    dataset        text NOT NULL,
    dataset_sha256 text,
    encoder        text,
    optimizer      text,
    attack         text,
    norm           text,
    device         text,
    figure         text NOT NULL,
    figure_of      text NOT NULL,
    seed           bigint NOT NULL,
    label_fraction double precision,
    epochs         bigint,
    batch_size     bigint,
    temperature    double precision,
    lr             double precision,
    weight_decay   double precision,
    lambda         double precision,
    value          double precision CHECK (value < 'NaN'),
    device_seconds double precision NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    started_at     timestamptz,
    finished_at    timestamptz,
    ended          text CHECK (ended IN ('succeeded', 'failed', 'cancelled')),
    hidden         boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE job_facts IS
    'A row for each job, written when it is submitted, started and ended: what people search by. All of it follows from other '
    'tables, by domain::facts.';
COMMENT ON COLUMN job_facts.encoder IS 'Its own, or that of what it starts from; so are label_fraction, temperature and lambda.';
COMMENT ON COLUMN job_facts.figure IS 'What it is looked at for: knn_accuracy, accuracy or robust_accuracy.';
COMMENT ON COLUMN job_facts.figure_of IS 'The result that holds it.';
COMMENT ON COLUMN job_facts.value IS 'Its main figure, once it has ended; null if it is no number.';
COMMENT ON COLUMN job_facts.device_seconds IS 'Of all attempts, times their workers, once it has ended.';
COMMENT ON COLUMN job_facts.ended IS 'Its state at an end; of others ask jobs.';

COMMENT ON COLUMN job_facts.hidden IS 'All its experiments are archived: found by who names one, and in no index else.';

CREATE TABLE job_params (
    job_id uuid PRIMARY KEY REFERENCES jobs,
    params jsonb NOT NULL
);
COMMENT ON TABLE job_params IS
    'Every parameter of a job by its dotted name, those of inputs with their stage in front. Apart, as it is four times as wide as '
    'what is read of most jobs.';
CREATE INDEX job_params_by_value ON job_params USING gin (params jsonb_path_ops);

-- What is asked by most is walked in the order of the main figure. An order that a filter is not part of is walked too, in an index
-- that holds what is filtered by: figures and parameters go together (few labels, low accuracy), so a walk may be long.
CREATE INDEX job_facts_by_value ON job_facts (figure, value DESC, job_id DESC)
    INCLUDE (stage, ended, owner, experiment, encoder, dataset, label_fraction, seed, lr, temperature, lambda, batch_size, epochs,
             weight_decay, optimizer, attack, norm, device, device_seconds, created_at, started_at, finished_at)
    WHERE value IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_age ON job_facts (created_at DESC, job_id DESC)
    INCLUDE (stage, ended, owner, experiment, encoder, dataset, label_fraction, seed, lr, temperature, lambda, batch_size, epochs,
             weight_decay, optimizer, attack, norm, device, device_seconds, figure, value, started_at, finished_at)
    WHERE NOT hidden;
CREATE INDEX job_facts_by_stage ON job_facts (stage, figure, value DESC, job_id DESC) WHERE value IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_encoder ON job_facts (encoder, label_fraction, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_labels ON job_facts (label_fraction, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_owner ON job_facts (owner, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_owner_and_age ON job_facts (owner, created_at DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_experiment ON job_facts (experiment text_pattern_ops, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_dataset ON job_facts (dataset, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_lr ON job_facts (lr, figure, value DESC, job_id DESC) WHERE lr IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_temperature ON job_facts (temperature, figure, value DESC, job_id DESC) WHERE temperature IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_lambda ON job_facts (lambda, figure, value DESC, job_id DESC) WHERE lambda IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_seed ON job_facts (seed, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_size ON job_facts (batch_size, epochs, figure, value DESC, job_id DESC) WHERE NOT hidden;
CREATE INDEX job_facts_by_attack ON job_facts (attack, norm, value DESC, job_id DESC) WHERE attack IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_end ON job_facts (ended, finished_at DESC, job_id DESC) WHERE finished_at IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_finish ON job_facts (finished_at DESC, job_id DESC) WHERE finished_at IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_start ON job_facts (started_at) WHERE started_at IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_device_seconds ON job_facts (device_seconds DESC, job_id DESC) WHERE NOT hidden;
-- Of what has few values the rare ones are looked up; the others are met soon on a walk.
CREATE INDEX job_facts_by_norm ON job_facts (norm) WHERE norm IS NOT NULL AND NOT hidden;
CREATE INDEX job_facts_by_optimizer ON job_facts (optimizer) WHERE NOT hidden;
CREATE INDEX job_facts_by_weight_decay ON job_facts (weight_decay) WHERE NOT hidden;
CREATE INDEX job_facts_by_device ON job_facts (device) WHERE NOT hidden;
CREATE INDEX job_facts_by_epochs ON job_facts (epochs) WHERE NOT hidden;
CREATE INDEX job_facts_by_images ON job_facts (dataset_sha256) WHERE NOT hidden;
CREATE INDEX job_facts_by_job ON job_facts (job text_pattern_ops) WHERE NOT hidden;
-- These go together: without this Postgres takes one job in a thousand for one in a million.
CREATE STATISTICS job_facts_together (dependencies, mcv) ON stage, figure, ended, label_fraction, encoder, dataset FROM job_facts;

-- Every result is an order, whatever the stage.
CREATE INDEX results_by_name ON results (name, value DESC, job_id DESC) WHERE value < 'NaN';

CREATE TABLE facts_filled (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    through  uuid NOT NULL,
    whole_at timestamptz
);
COMMENT ON TABLE facts_filled IS
    'How far job_facts and curves are filled with what was there before them: jobs by id up to through, all since whole_at.';
INSERT INTO facts_filled (through, whole_at)
SELECT '00000000-0000-0000-0000-000000000000', CASE WHEN NOT EXISTS (SELECT FROM jobs) THEN now() END;

CREATE TABLE curves (
    job_id     uuid NOT NULL REFERENCES jobs,
    name       text NOT NULL,
    points     bigint NOT NULL,
    first_step bigint NOT NULL,
    last_step  bigint NOT NULL,
    last       double precision NOT NULL,
    smallest   double precision,
    largest    double precision,
    PRIMARY KEY (job_id, name)
) WITH (fillfactor = 80);
COMMENT ON TABLE curves IS 'A row for each curve, written with its points: what a search and a list need of it.';
COMMENT ON COLUMN curves.last IS 'At last_step.';
COMMENT ON COLUMN curves.smallest IS 'Of the values that are numbers; null without one, as is largest.';
CREATE INDEX curves_by_largest ON curves (name, largest DESC, job_id DESC) WHERE largest IS NOT NULL;
CREATE INDEX curves_by_smallest ON curves (name, smallest, job_id) WHERE smallest IS NOT NULL;
