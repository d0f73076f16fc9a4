-- What placement and blame are decided by: the order of a sweep, how large a gang a job needs, and since when losses count.

ALTER TABLE jobs
    ADD COLUMN position integer NOT NULL DEFAULT 0,
    ADD COLUMN gang_min integer NOT NULL DEFAULT 1 CHECK (gang_min >= 1);
COMMENT ON COLUMN jobs.position IS 'Order in its experiment: of jobs that were queued at one moment, the first goes first.';
COMMENT ON COLUMN jobs.gang_min IS 'The smallest gang that it can have: the least divisor of shards in its range of workers.';
UPDATE jobs SET
    position = COALESCE(
        (SELECT min(link.position) FROM experiment_jobs link
         WHERE link.job_id = jobs.id AND link.experiment_id = jobs.experiment_id), 0),
    gang_min = COALESCE(
        (SELECT min(size) FROM generate_series(workers_min, LEAST(workers_max, shards)) AS size WHERE shards % size = 0),
        workers_min);
DROP INDEX jobs_queue;
-- For each size of gang a line of its own, so that large jobs that wait hide no small ones.
CREATE INDEX jobs_queue ON jobs (gang_min, priority DESC, queued_at, position, id) WHERE state = 'queued';

ALTER TABLE workers ADD COLUMN released_at timestamptz;
COMMENT ON COLUMN workers.released_at IS 'When somebody last released it: losses before that count no more.';

ALTER TABLE attempts ADD COLUMN saved_nothing boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN attempts.saved_nothing IS
    'It was asked to stop at a checkpoint and ended without one: the next such stop of its job comes later.';

-- The lost ranks of a job, and what became of it elsewhere.
CREATE INDEX leases_by_device ON leases (device, released_at DESC) WHERE outcome = 'succeeded';
