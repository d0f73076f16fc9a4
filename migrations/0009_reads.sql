-- What reads and scheduling passes need so that each costs what it shows or moves, however long history and queue are.

ALTER TABLE jobs ADD COLUMN submitted_at timestamptz, ADD COLUMN ran_on text;
COMMENT ON COLUMN jobs.submitted_at IS 'When its experiment was: the order of lists.';
COMMENT ON COLUMN jobs.ran_on IS
    'Kind of the devices on which one attempt did the whole job, from step 0 to its success; null where none has. '
    'How long it took there is what other jobs are judged by.';
UPDATE jobs SET submitted_at = e.created_at, ran_on = CASE WHEN jobs.state = 'succeeded' AND jobs.gflop > 0 THEN (
    SELECT w.device_kind FROM attempts a
    JOIN leases l ON l.attempt_id = a.id AND l.rank = 0 JOIN workers w ON w.id = l.worker_id
    WHERE a.job_id = jobs.id AND a.state = 'succeeded' AND a.first_step = 0 ORDER BY a.fence DESC LIMIT 1) END
FROM experiments e WHERE e.id = jobs.experiment_id;
ALTER TABLE jobs ALTER COLUMN submitted_at SET NOT NULL;
CREATE INDEX jobs_by_state ON jobs (state, submitted_at DESC, experiment_id);

-- Only jobs that succeeded or were started can have figures to show. There is one index for all stages and for each.
DROP INDEX jobs_by_end;
CREATE INDEX jobs_by_stage ON jobs (stage, finished_at DESC)
    WHERE finished_at IS NOT NULL AND (state = 'succeeded' OR started_at IS NOT NULL);

DROP INDEX jobs_by_work;
CREATE INDEX jobs_by_work ON jobs (work, ran_on, finished_at DESC) WHERE ran_on IS NOT NULL;
CREATE INDEX jobs_by_device ON jobs (stage, ran_on, finished_at DESC) WHERE ran_on IS NOT NULL;

ALTER TABLE results ADD COLUMN stage text;
COMMENT ON COLUMN results.stage IS 'That of its job: the best results of one stage are found without those of the others.';
DROP INDEX results_by_value;
UPDATE results SET stage = j.stage FROM jobs j WHERE j.id = results.job_id;
ALTER TABLE results ALTER COLUMN stage SET NOT NULL;
CREATE INDEX results_by_stage ON results (stage, name, value);

-- Each attempt asks for the newest of its own.
CREATE INDEX checkpoints_by_fence ON checkpoints (job_id, fence, at);

-- Those that have left stay as long as the history names them.
CREATE INDEX workers_here ON workers (id) WHERE state <> 'gone';
CREATE INDEX workers_by_session ON workers (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE inputs_ended (job_id uuid NOT NULL);
COMMENT ON TABLE inputs_ended IS
    'Blocked jobs that the next scheduling pass decides about: one row for each input that has ended since the last '
    'one, and one for a new job. Written with the change itself, deleted with the decision. Not unique: a row that '
    'makes room for another transaction''s would be taken before that transaction commits.';
INSERT INTO inputs_ended SELECT id FROM jobs WHERE state = 'blocked';
