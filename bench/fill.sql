-- Fills a database of Tandem with a history that is long, realistic and the same for the same seed. All that is made here
-- has ended, so nothing of it is scheduled. Plain SQL, for psql and for tests alike; what is made is set beforehand:
--
--   fill.jobs     how many, a multiple of 10: ten jobs are one experiment
--   fill.first    number of the first one (default 0); what is there already is continued with the next number
--   fill.total    job n of so many was submitted at n/total of the two years that end now (default: first + jobs)
--   fill.seed     default 7
--   fill.points   points of each of two curves a job, 1000 at most (default 0)
--   fill.traces   'on': events, logs of every tenth job, checkpoints and artifacts too (default: results only)
--   fill.tags     'on': one experiment in 500 is tagged camera-ready, one job in 100 good
--
--   PGOPTIONS='-c fill.jobs=100000 -c fill.traces=on -c fill.points=11' \
--       psql "$URL" -v ON_ERROR_STOP=1 -f bench/fill.sql
--
-- Needs a superuser: it switches the foreign-key triggers off for its own session. 30 owners, 5 % of the jobs failed, 1 %
-- were cancelled, 5 % lost their first attempt, and one experiment in ten shares a job of the one before.
SET session_replication_role = replica;
SET synchronous_commit = off;
SET work_mem = '256MB';
SET max_parallel_workers_per_gather = 0;

CREATE OR REPLACE FUNCTION pg_temp.setting(name text, otherwise text) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT COALESCE(NULLIF(current_setting('fill.' || name, true), ''), otherwise) $$;
-- The number after the last one.
CREATE OR REPLACE FUNCTION pg_temp.beyond() RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT pg_temp.setting('first', '0')::bigint + pg_temp.setting('jobs', '0')::bigint $$;
-- [0, 1), the same for the same (n, salt).
CREATE OR REPLACE FUNCTION pg_temp.rnd(n bigint, salt bigint) RETURNS float8 LANGUAGE sql STABLE AS
$$ SELECT (hashint8extended(n, salt * 1000003 + pg_temp.setting('seed', '7')::bigint) & 4503599627370495)::float8 / 4503599627370496.0 $$;
CREATE OR REPLACE FUNCTION pg_temp.uid(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT overlay(overlay(md5(kind || ':' || n) placing '4' from 13) placing '8' from 17)::uuid $$;

-- Workers that were there once.
INSERT INTO workers (id, name, host, device_kind, device_index, device_name, device_uuid, memory_bytes, cores, driver,
                     version, state, registered_at, last_seen)
SELECT pg_temp.uid('worker', w), 'old-' || w, 'box' || w / 8, 'cpu', w % 8, 'CPU slot', '', 64::bigint << 30, 8, '', '0.1.0',
       'gone', now() - interval '730 days', now() - interval '1 day'
FROM generate_series(0, 39) w ON CONFLICT (id) DO NOTHING;

-- One row per job with all that the other tables are made from.
CREATE TEMP TABLE plan AS
SELECT n, n / 10 AS e, k, pg_temp.uid('job', n) AS id, pg_temp.uid('experiment', n / 10) AS experiment_id,
       pg_temp.uid('attempt', n) AS attempt_id, pg_temp.uid('worker', (pg_temp.rnd(n, 3) * 40)::int % 40) AS worker_id,
       CASE WHEN k < 2 THEN 'contrastive' WHEN k < 8 THEN 'linear' WHEN k = 8 THEN 'supervised' ELSE 'finetune' END AS stage,
       CASE WHEN k < 2 THEN 'encoder[seed=' || k + 1 || ']'
            WHEN k < 8 THEN 'linear[label_fraction=' || (ARRAY['1', '0.1', '0.01'])[(k - 2) / 2 + 1] || ',seed=' || n % 2 + 1 || ']'
            WHEN k = 8 THEN 'supervised' ELSE 'finetune[label_fraction=0.01]' END AS name,
       CASE WHEN k BETWEEN 2 AND 7 THEN (ARRAY[1.0, 0.1, 0.01])[(k - 2) / 2 + 1] WHEN k = 9 THEN 0.01 END AS fraction,
       (ARRAY['resnet-tiny', 'resnet18', 'resnet50', 'resnet34'])[(pg_temp.rnd(n / 10, 1) * 4)::int % 4 + 1] AS encoder,
       (CASE WHEN pg_temp.rnd(n, 2) < 0.05 THEN 'failed' WHEN pg_temp.rnd(n, 2) < 0.06 THEN 'cancelled' ELSE 'succeeded' END)::job_state AS state,
       pg_temp.rnd(n, 4) < 0.05 AS retried,
       date_trunc('milliseconds', now() - interval '730 days'
           + interval '730 days' * (n / 10 * 10)::float8 / pg_temp.setting('total', pg_temp.beyond()::text)::float8) AS created_at,
       make_interval(secs => 60 + 3000 * pg_temp.rnd(n, 5)) AS took
FROM (SELECT n, (n % 10)::int AS k
      FROM generate_series(pg_temp.setting('first', '0')::bigint, pg_temp.beyond() - 1) n) numbers;
ANALYZE plan;

INSERT INTO experiments (id, name, owner, toml, file_name, fresh, idempotency_key, created_at)
SELECT experiment_id, (ARRAY['table1', 'table2', 'ablation', 'sweep', 'figure2'])[e % 5 + 1] || '-' || e % 20000,
       'person-' || (pg_temp.rnd(e, 6) * 30)::int,
       E'name = "table1"\ndataset = "cifar10"\nseed = ' || e || E'\nworkers = 2\n\n[jobs.encoder]\nstage = "contrastive"\nencoder = "'
           || encoder || E'"\nepochs = 100\nbatch_size = 512\n\n[jobs.linear]\nstage = "linear"\nfrom = "encoder"\n',
       'table1.toml', false, pg_temp.uid('key', e)::text, created_at
FROM plan WHERE k = 0 ORDER BY n;

INSERT INTO jobs (id, experiment_id, name, stage, spec, content_key, state, reason, workers_min, workers_max, shards, created_at,
                  submitted_at, queued_at, started_at, finished_at, work, gflop, ran_on)
SELECT id, experiment_id, name, stage,
       jsonb_build_object('name', name, 'dataset', 'cifar10', 'seed', 1 + k % 2, 'workers', jsonb_build_object('min', 1, 'max', 2),
           'shards', 2, 'threads', 1, 'inputs', CASE WHEN k BETWEEN 2 AND 7 OR k = 9 THEN jsonb_build_array('encoder[seed=' || 1 + k % 2 || ']') ELSE '[]' END,
           'stage', jsonb_build_object(stage, jsonb_build_object('encoder', encoder, 'epochs', 100, 'batch_size', 512, 'label_fraction', fraction,
               'optimizer', '{"name": "lars", "lr": 1.0, "momentum": 0.9, "weight_decay": 1e-06, "warmup_epochs": 10, "schedule": "cosine", "nesterov": false, "trust": 0.001}'::jsonb,
               'augment', '{"crop_area_min": 0.2, "jitter": 0.8, "hue": 0.2, "gray": 0.2, "flip": true, "blur": 0.0}'::jsonb,
               'batch_norm', 'per_shard', 'precision', 'f32', 'checkpoint_steps', 500))),
       encode(sha256(('content' || n)::bytea), 'hex'), state,
       CASE state WHEN 'failed' THEN 'loss is not finite at step 120' WHEN 'cancelled' THEN 'cancelled by its owner' ELSE '' END,
       1, 2, 2, created_at, created_at, created_at, created_at + interval '5 seconds', created_at + took + interval '5 seconds',
       stage || ' ' || encoder || ' exact', 1e4 * (1 + pg_temp.rnd(n, 8)), CASE WHEN state = 'succeeded' THEN 'cpu' END
FROM plan ORDER BY n;

INSERT INTO experiment_jobs (experiment_id, name, job_id, position, reused) SELECT experiment_id, name, id, k, false FROM plan ORDER BY n;
INSERT INTO experiment_jobs (experiment_id, name, job_id, position, reused)
SELECT experiment_id, 'shared', pg_temp.uid('job', n - 10), 10, true FROM plan WHERE k = 0 AND e % 10 = 5 ORDER BY n;
INSERT INTO job_dependencies (job_id, depends_on, position)
SELECT id, pg_temp.uid('job', e * 10 + k % 2), 0 FROM plan WHERE k BETWEEN 2 AND 7 OR k = 9 ORDER BY n;

INSERT INTO attempts (id, job_id, number, fence, leader_term, world_size, state, cause, first_step, assigned_at, starting_at, training_at, ended_at)
SELECT pg_temp.uid('lost', n), id, 1, 2 * n + 1000000, 1, 1, 'lost'::attempt_state, 'worker was not heard of for 9 s', 0, created_at + interval '2 seconds',
       created_at + interval '3 seconds', created_at + interval '4 seconds', created_at + interval '5 seconds' FROM plan WHERE retried
UNION ALL
SELECT attempt_id, id, CASE WHEN retried THEN 2 ELSE 1 END, 2 * n + 1000001, 1, 1, state::text::attempt_state,
       CASE state WHEN 'failed' THEN 'loss is not finite at step 120' ELSE '' END, 0,
       created_at + interval '5 seconds', created_at + interval '7 seconds', created_at + interval '9 seconds', created_at + took + interval '5 seconds' FROM plan
ORDER BY 4;
SELECT setval('fence', GREATEST((SELECT last_value FROM fence), 2 * pg_temp.beyond() + 1000002));

INSERT INTO leases (attempt_id, rank, worker_id, fence, expires_at, dispatched_at, released_at, outcome, cause, device, progress_at, slowest_ms)
SELECT attempt_id, 0, worker_id, 2 * n + 1000001, created_at + took, created_at + interval '5 seconds', created_at + took + interval '5 seconds',
       (CASE state WHEN 'failed' THEN 'job_failed' ELSE state::text END)::rank_outcome, '', worker_id::text, created_at + took, 800 FROM plan ORDER BY n;
INSERT INTO leases (attempt_id, rank, worker_id, fence, expires_at, dispatched_at, released_at, outcome, cause, device, progress_at, slowest_ms)
SELECT pg_temp.uid('lost', n), 0, worker_id, 2 * n + 1000000, created_at + interval '4 seconds', created_at + interval '2 seconds', created_at + interval '5 seconds',
       'lost', 'worker was not heard of for 9 s', worker_id::text, created_at, 800 FROM plan WHERE retried ORDER BY n;
INSERT INTO received (attempt_id, rank, last_sequence) SELECT attempt_id, 0, 60 FROM plan ORDER BY n;
INSERT INTO received (attempt_id, rank, last_sequence) SELECT pg_temp.uid('lost', n), 0, 3 FROM plan WHERE retried ORDER BY n;
INSERT INTO progress (job_id, fence, phase, step, steps, epoch, epochs, images_per_second, seconds_left, updated_at)
SELECT id, 2 * n + 1000001, '', 1000, 1000, 100, 100, 0, 0, created_at + took FROM plan WHERE state <> 'cancelled' ORDER BY n;

-- Accuracy rises a little over the two years and with the encoder; a few jobs that failed have some too.
INSERT INTO results (job_id, name, stage, value, fence, at)
SELECT id, r.name, stage, CASE r.name
           WHEN 'seconds' THEN extract(epoch FROM took)
           WHEN 'loss' THEN CASE WHEN state = 'failed' THEN 'NaN' ELSE 0.2 + 2 * pg_temp.rnd(n, 11) END
           ELSE LEAST(0.999, 0.30 + 0.25 * COALESCE(1 + log(fraction::numeric) / 4, 1)::float8 + 0.05 * (length(encoder) % 4) + 0.15 * pg_temp.rnd(n, 12) + 0.1 * n / 1e6) END,
       2 * n + 1000001, created_at + took
FROM plan, (VALUES ('loss', NULL), ('seconds', NULL), ('knn_accuracy', 'contrastive'), ('linear_accuracy', 'linear'),
            ('test_accuracy', 'linear'), ('test_accuracy', 'supervised'), ('test_accuracy', 'finetune')) r (name, for_stage)
WHERE (r.for_stage IS NULL OR r.for_stage = stage) AND (state = 'succeeded' OR (state = 'failed' AND pg_temp.rnd(n, 13) < 0.1))
ORDER BY n;

-- As domain::facts makes them of such jobs.
INSERT INTO job_facts (job_id, experiment_id, experiment, job, owner, stage, dataset, encoder, optimizer, device, figure, figure_of, seed,
                       label_fraction, epochs, batch_size, temperature, lr, weight_decay, lambda, value, device_seconds, created_at,
                       started_at, finished_at, ended)
SELECT p.id, p.experiment_id, e.name, p.name, e.owner, p.stage, 'cifar10', p.encoder, own.optimizer, 'cpu',
       CASE p.stage WHEN 'contrastive' THEN 'knn_accuracy' ELSE 'accuracy' END,
       CASE p.stage WHEN 'contrastive' THEN 'knn_accuracy' ELSE 'test_accuracy' END, 1 + p.k % 2,
       CASE WHEN p.stage <> 'contrastive' THEN COALESCE(p.fraction, 1) END, 100, 512,
       CASE WHEN p.k <> 8 THEN own.temperature END, own.lr, 1e-6, own.lambda,
       (SELECT r.value FROM results r WHERE r.job_id = p.id AND r.value < 'NaN'
            AND r.name = CASE p.stage WHEN 'contrastive' THEN 'knn_accuracy' ELSE 'test_accuracy' END),
       extract(epoch FROM p.took), p.created_at, p.created_at + interval '5 seconds', p.created_at + p.took + interval '5 seconds', p.state::text
FROM plan p JOIN experiments e ON e.id = p.experiment_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN p.k < 2 THEN 'lars' ELSE 'sgd' END AS optimizer,
           (ARRAY[0.1, 0.2, 0.3, 0.5, 1.0])[(pg_temp.rnd(p.e, 21) * 5)::int % 5 + 1]::float8 AS temperature,
           (ARRAY[0.03, 0.1, 0.3, 1.0, 3.0, 4.8])[(pg_temp.rnd(p.n, 22) * 6)::int % 6 + 1]::float8 AS lr,
           (ARRAY[0, 0, 0.1, 1.0, 10.0])[(pg_temp.rnd(p.e, 23) * 5)::int % 5 + 1]::float8 AS lambda) own
ORDER BY p.n;
INSERT INTO job_params (job_id, params)
SELECT p.id, jsonb_build_object('epochs', 100, 'batch_size', 512, 'optimizer.name', own.optimizer, 'optimizer.lr', own.lr, 'optimizer.momentum', 0.9,
           'optimizer.weight_decay', 1e-6, 'optimizer.nesterov', p.k = 8, 'optimizer.schedule', 'cosine', 'optimizer.warmup_epochs', p.e % 11,
           'shards', 2, 'threads', 1, 'precision', 'f32', 'batch_norm', 'shard', 'checkpoint_steps', 500)
       || CASE WHEN p.k < 2 THEN jsonb_build_object('encoder', p.encoder, 'temperature', own.temperature, 'head.output', 128,
                   'tikhonov.lambda', own.lambda, 'augment.hue', 0.1, 'augment.jitter', 0.8, 'augment.crop_area_min', 0.08)
               WHEN p.k <> 8 THEN jsonb_build_object('label_fraction', COALESCE(p.fraction, 1), 'contrastive.encoder', p.encoder,
                   'contrastive.temperature', own.temperature, 'contrastive.epochs', 100, 'contrastive.batch_size', 512,
                   'contrastive.optimizer.lr', own.lr, 'contrastive.optimizer.name', 'lars', 'contrastive.head.output', 128,
                   'contrastive.tikhonov.lambda', own.lambda, 'contrastive.augment.hue', 0.1, 'contrastive.augment.jitter', 0.8)
               ELSE jsonb_build_object('encoder', p.encoder, 'label_fraction', 1, 'tikhonov.lambda', own.lambda) END
FROM plan p JOIN job_facts f ON f.job_id = p.id
CROSS JOIN LATERAL (SELECT f.optimizer, f.lr, f.temperature, f.lambda) own
ORDER BY p.n;

-- As the coordinator has folded them.
INSERT INTO metric_chunks (job_id, name, first_step, last_step, points, stride, values, fence, first_at, last_at)
SELECT id, m.name, 100, 100 * points, points, 100,
       CASE m.name WHEN 'loss' THEN ARRAY(SELECT (5.0 / s + 0.05 + 0.05 * sin(n * 31 + s))::real FROM generate_series(1, points) s)
            ELSE ARRAY(SELECT s::float8 / points * 0.8 + 0.05 + 0.05 * sin(n) FROM generate_series(1, points) s) END,
       2 * n + 1000001, created_at + took / points, created_at + took
FROM plan, (SELECT pg_temp.setting('points', '0')::int AS points) p, (VALUES ('loss'), ('knn_accuracy')) m (name)
WHERE state <> 'cancelled' AND points > 0 ORDER BY n, m.name;

INSERT INTO curves (job_id, name, points, first_step, last_step, last, smallest, largest)
SELECT c.job_id, c.name, c.points, c.first_step, c.last_step, c.values[c.points], ends.smallest, ends.largest
FROM plan p JOIN metric_chunks c ON c.job_id = p.id
CROSS JOIN LATERAL (SELECT min(value) AS smallest, max(value) AS largest FROM unnest(c.values) value) ends;

INSERT INTO events (at, job_id, attempt_id, worker_id, kind, message)
SELECT created_at + t.after * took, id, CASE WHEN t.kind <> 'submitted' THEN attempt_id END,
       CASE WHEN t.kind IN ('started', 'data', 'training', 'evaluating') THEN worker_id END, t.kind, t.message
FROM plan, (VALUES (0.0, 'submitted', 'submitted by ada in experiment `table1`; queued'), (0.01, 'assigned', 'attempt 1 assigned to cpu-0'),
            (0.02, 'started', 'rank 0: started'), (0.03, 'data', 'rank 0: data'), (0.04, 'training', 'rank 0: training'),
            (0.95, 'evaluating', 'rank 0: evaluating'), (1.0, 'ended', 'attempt 1 ended')) t (after, kind, message)
WHERE pg_temp.setting('traces', 'off') = 'on' ORDER BY n, t.after;
INSERT INTO logs (attempt_id, rank, sequence, at, line)
SELECT attempt_id, 0, l * 5, created_at + took * l / 20, 'epoch ' || l || ': loss 1.2345, knn 0.4567, 812 images/s, ' || n
FROM plan, generate_series(1, 20) l WHERE k = 8 AND pg_temp.setting('traces', 'off') = 'on' ORDER BY n, l;
INSERT INTO checkpoints (job_id, step, path, sha256, bytes, fence, at)
SELECT id, 1000, 'jobs/' || id || '/checkpoints/1000', md5('c' || n) || md5('d' || n), 45000000, 2 * n + 1000001, created_at + took
FROM plan WHERE stage <> 'linear' AND state = 'succeeded' AND pg_temp.setting('traces', 'off') = 'on' ORDER BY n;
INSERT INTO artifacts (id, job_id, kind, name, uri, sha256, bytes, fence, at)
SELECT pg_temp.uid('artifact', n), id, CASE WHEN k < 2 THEN 'encoder' ELSE 'classifier' END, CASE WHEN k < 2 THEN 'encoder' ELSE 'classifier' END || '.safetensors',
       'jobs/' || id || '/artifacts/model.safetensors', md5('a' || n) || md5('b' || n), 44800000, 2 * n + 1000001, created_at + took
FROM plan WHERE state = 'succeeded' AND pg_temp.setting('traces', 'off') = 'on' ORDER BY n;
INSERT INTO tags (target, is_job, word, who, at)
SELECT DISTINCT ON (experiment_id) experiment_id, false, 'camera-ready', 'ada', created_at FROM plan
WHERE e % 500 = 0 AND pg_temp.setting('tags', 'off') = 'on'
UNION ALL SELECT id, true, 'good', 'ada', created_at FROM plan WHERE n % 100 = 7 AND pg_temp.setting('tags', 'off') = 'on'
ON CONFLICT DO NOTHING;

DROP TABLE plan;
RESET session_replication_role;
RESET work_mem;
ANALYZE;
