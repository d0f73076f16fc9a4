-- The runs of a history as MLflow's tables have them, in the schema `mlflow` that MLflow has made beside: parameters, last figures, the
-- points of curves. A hundred experiments of ten runs are experiments there, too; all other runs are in five large ones, as a search
-- over many thousands of experiments would hold MLflow up.
SET search_path = mlflow, public;
SET synchronous_commit = off;
SET work_mem = '256MB';

CREATE TEMP TABLE moved AS
SELECT j.id, replace(j.id::text, '-', '') AS run, f.*, CASE WHEN place <= 100 THEN 100 + place ELSE 1 + place % 5 END AS into_experiment
FROM (SELECT id AS experiment, row_number() OVER (ORDER BY created_at DESC, id) AS place FROM public.experiments) e
JOIN public.jobs j ON j.experiment_id = e.experiment
CROSS JOIN LATERAL (
    SELECT experiment AS experiment_name, owner, stage, encoder, optimizer, label_fraction, lr, weight_decay, temperature, lambda, seed,
           figure, value, created_at, finished_at, ended
    FROM public.job_facts WHERE job_id = j.id) f;
ANALYZE moved;

INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)
SELECT DISTINCT into_experiment, 'experiment-' || into_experiment, 'none', 'active', 0, 0 FROM moved;
INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, source_version,
                  lifecycle_stage, artifact_uri, experiment_id)
SELECT run, experiment_name, 'LOCAL', '', '', owner, CASE ended WHEN 'succeeded' THEN 'FINISHED' WHEN 'failed' THEN 'FAILED' ELSE 'KILLED' END,
       (extract(epoch FROM created_at) * 1000)::bigint, (extract(epoch FROM finished_at) * 1000)::bigint, '', 'active', 'none', into_experiment
FROM moved;
INSERT INTO params (key, value, run_uuid)
SELECT p.key, p.value, run FROM moved CROSS JOIN LATERAL (VALUES ('stage', stage), ('encoder', encoder), ('optimizer', optimizer),
    ('label_fraction', label_fraction::text), ('lr', lr::text), ('weight_decay', weight_decay::text), ('temperature', temperature::text),
    ('lambda', lambda::text), ('seed', seed::text)) p (key, value)
WHERE p.value IS NOT NULL;
INSERT INTO tags (key, value, run_uuid) SELECT t.key, t.value, run FROM moved CROSS JOIN LATERAL (VALUES ('mlflow.user', owner),
    ('mlflow.runName', experiment_name)) t (key, value);
INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)
SELECT p.name, p.value, (extract(epoch FROM p.at) * 1000)::bigint, run, p.step, false
FROM moved JOIN public.metric_points p ON p.job_id = moved.id;
INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
SELECT c.name, c.last, 0, c.last_step, false, run FROM moved JOIN public.curves c ON c.job_id = moved.id
UNION ALL
SELECT r.name, r.value, 0, 0, false, run FROM moved JOIN public.results r ON r.job_id = moved.id
WHERE r.value < 'NaN' AND r.name NOT IN ('loss', 'knn_accuracy')
UNION ALL
SELECT figure, value, 0, 0, false, run FROM moved WHERE value IS NOT NULL AND figure = 'accuracy';
DROP TABLE moved;
RESET search_path;
RESET work_mem;
