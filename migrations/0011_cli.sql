-- An experiment remembers its priority, so that a shared job's falls again when the one that raised it withdraws.

ALTER TABLE experiments ADD COLUMN priority integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN experiments.priority IS 'As submitted. A job has the highest of the experiments that still want it.';
-- Until now only the jobs knew: no experiment asked for more than the lowest of its jobs has.
UPDATE experiments SET priority = wanted.priority
FROM (SELECT link.experiment_id, min(j.priority) AS priority
      FROM experiment_jobs link JOIN jobs j ON j.id = link.job_id GROUP BY link.experiment_id) wanted
WHERE wanted.experiment_id = experiments.id;
COMMENT ON COLUMN experiments.name IS
    'As in the file. Not unique: the newest experiment of a name is the one meant, and to cancel, all of its owner.';
