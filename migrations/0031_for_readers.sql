-- What people and programs read by SQL: views in a schema of their own, of nothing that is secret. Whoever may read them may read
-- nothing else; `tandem-server sql-reader` makes such a role.

-- Not "tandem": a role of that name would find these before its own tables.
CREATE SCHEMA tandem_sql;
COMMENT ON SCHEMA tandem_sql IS 'Experiments, jobs and what was measured, to be read by SQL. Ids are those of the command line.';

CREATE VIEW tandem_sql.experiments AS
SELECT id, name, owner, created_at, archived_at, file_name, toml
FROM public.experiments WHERE deleted_at IS NULL;
COMMENT ON VIEW tandem_sql.experiments IS 'What was submitted, as it was written.';

CREATE VIEW tandem_sql.jobs AS
SELECT j.id, f.experiment_id, f.experiment, j.name, f.owner, f.stage, j.state::text AS state, j.reason, j.priority,
       f.dataset, f.dataset_sha256, f.encoder, f.optimizer, f.attack, f.norm, f.device, f.seed, f.label_fraction, f.epochs,
       f.batch_size, f.temperature, f.lr, f.weight_decay, f.lambda, f.figure, f.value, f.device_seconds,
       f.created_at, f.started_at, f.finished_at, f.hidden AS archived
FROM public.jobs j JOIN public.job_facts f ON f.job_id = j.id WHERE j.deleted_at IS NULL;
COMMENT ON VIEW tandem_sql.jobs IS 'A row for each job: what it is and its main figure, as `tandem results --where` has them.';

CREATE VIEW tandem_sql.parameters AS
SELECT p.job_id, p.params FROM public.job_params p JOIN public.jobs j ON j.id = p.job_id WHERE j.deleted_at IS NULL;
COMMENT ON VIEW tandem_sql.parameters IS 'All parameters of a job by their dotted names: params ->> ''optimizer.momentum''.';

CREATE VIEW tandem_sql.results AS SELECT job_id, name, value, at FROM public.results;
COMMENT ON VIEW tandem_sql.results IS 'Final figures.';

CREATE VIEW tandem_sql.curves AS
SELECT job_id, name, points, first_step, last_step, last, smallest, largest FROM public.curves;
COMMENT ON VIEW tandem_sql.curves IS 'A row for each curve: how long it is, and what it comes to.';

CREATE VIEW tandem_sql.points AS SELECT job_id, name, step, value, at FROM public.metrics;
COMMENT ON VIEW tandem_sql.points IS 'The points of curves.';

CREATE VIEW tandem_sql.attempts AS
SELECT a.id, a.job_id, a.number, a.state::text AS state, a.cause,
       (SELECT array_agg(w.name ORDER BY l.rank)
        FROM public.leases l JOIN public.workers w ON w.id = l.worker_id WHERE l.attempt_id = a.id) AS workers,
       a.assigned_at, a.training_at, a.ended_at
FROM public.attempts a;
COMMENT ON VIEW tandem_sql.attempts IS 'How jobs were run: where, from when to when, and how that ended.';

CREATE VIEW tandem_sql.events AS
SELECT id, at, job_id, attempt_id, kind, message FROM public.events WHERE job_id IS NOT NULL;
COMMENT ON VIEW tandem_sql.events IS 'What has happened to jobs, for people.';

CREATE VIEW tandem_sql.artifacts AS SELECT id, job_id, kind, name, sha256, bytes, at FROM public.artifacts;
COMMENT ON VIEW tandem_sql.artifacts IS 'Files that jobs have left: `tandem fetch`.';

CREATE VIEW tandem_sql.tags AS SELECT target, is_job, word, who, at FROM public.tags;
COMMENT ON VIEW tandem_sql.tags IS 'Words on jobs and experiments.';

CREATE VIEW tandem_sql.notes AS SELECT target, is_job, text, who, at FROM public.notes;
COMMENT ON VIEW tandem_sql.notes IS 'What somebody wants to be known of a job or an experiment.';

CREATE VIEW tandem_sql.device_use AS SELECT owner, hour, device_kind, seconds FROM public.device_use;
COMMENT ON VIEW tandem_sql.device_use IS 'Seconds of devices by person and hour: `tandem usage`.';
