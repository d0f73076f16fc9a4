-- Jobs that run another one anew are proofs of it: no runs of their own, which would be counted beside the first and be the best by
-- the same figure. They are found by who names them.

CREATE OR REPLACE FUNCTION facts_follow_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM curves WHERE job_id = NEW.id;
        DELETE FROM job_params WHERE job_id = NEW.id;
        DELETE FROM job_facts WHERE job_id = NEW.id;
    ELSE
        UPDATE job_facts f SET hidden = NEW.hidden OR NEW.reproduces IS NOT NULL, experiment_id = e.id, experiment = e.name,
            job = NEW.name, owner = e.owner, created_at = NEW.submitted_at
        FROM experiments e WHERE e.id = NEW.experiment_id AND f.job_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
UPDATE job_facts f SET hidden = true FROM jobs j WHERE j.id = f.job_id AND j.reproduces IS NOT NULL AND NOT f.hidden;
COMMENT ON COLUMN job_facts.hidden IS
    'All its experiments are archived, or it runs another job anew: found by who names one, and in no index else.';

CREATE OR REPLACE VIEW tandem_sql.jobs AS
SELECT j.id, f.experiment_id, f.experiment, j.name, f.owner, f.stage, j.state::text AS state, j.reason, j.priority,
       f.dataset, f.dataset_sha256, f.encoder, f.optimizer, f.attack, f.norm, f.device, f.seed, f.label_fraction, f.epochs,
       f.batch_size, f.temperature, f.lr, f.weight_decay, f.lambda, f.figure, f.value, f.device_seconds,
       f.created_at, f.started_at, f.finished_at, j.hidden AS archived, j.reproduces
FROM public.jobs j JOIN public.job_facts f ON f.job_id = j.id WHERE j.deleted_at IS NULL;
COMMENT ON COLUMN tandem_sql.jobs.reproduces IS 'The job that it runs anew, whole or a part of it: no run of its own.';
