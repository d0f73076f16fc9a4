-- What people search by follows its job: into another experiment, out of the lists and back, and away.

CREATE FUNCTION facts_follow_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM curves WHERE job_id = NEW.id;
        DELETE FROM job_params WHERE job_id = NEW.id;
        DELETE FROM job_facts WHERE job_id = NEW.id;
    ELSE
        UPDATE job_facts f SET hidden = NEW.hidden, experiment_id = e.id, experiment = e.name, job = NEW.name, owner = e.owner,
            created_at = NEW.submitted_at
        FROM experiments e WHERE e.id = NEW.experiment_id AND f.job_id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_facts AFTER UPDATE OF hidden, deleted_at, experiment_id, name ON jobs
    FOR EACH ROW WHEN (OLD.hidden <> NEW.hidden OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at
                       OR OLD.experiment_id <> NEW.experiment_id OR OLD.name <> NEW.name)
    EXECUTE FUNCTION facts_follow_job();
