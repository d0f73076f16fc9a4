-- Which workers can have jobs, and which jobs: they see the store, they see the images, and they can read the spec.

ALTER TABLE workers
    ADD COLUMN unfit text NOT NULL DEFAULT '',
    ADD COLUMN spec_version integer NOT NULL DEFAULT 1,
    ADD COLUMN datasets jsonb;
COMMENT ON COLUMN workers.unfit IS
    'Why it gets no job: it does not see the store, or its version does not fit. Empty: it is fit.';
COMMENT ON COLUMN workers.spec_version IS 'The newest form of a job''s spec that it can read.';
COMMENT ON COLUMN workers.datasets IS
    'What it says of the data sets in its data folder: {"complete": true, "datasets": [{"name", "sha256", "classes", '
    '"train", "test", "problem"}]}. Null until it has said so.';

ALTER TABLE jobs
    ADD COLUMN spec_version integer NOT NULL DEFAULT 1,
    ADD COLUMN images text NOT NULL DEFAULT '';
COMMENT ON COLUMN jobs.spec_version IS 'The form of its spec: older programs cannot read it.';
COMMENT ON COLUMN jobs.images IS
    'Checksum of the images of its data set: it goes only where these are seen. Empty: synthetic, or not known at submit.';
DROP INDEX jobs_queue;
-- For each size of gang and for each set of images a line of its own, so that jobs that wait hide no others.
CREATE INDEX jobs_queue ON jobs (gang_min, images, priority DESC, queued_at, position, id) WHERE state = 'queued';

CREATE OR REPLACE VIEW fleet_overview AS
SELECT w.name, w.host, w.device_kind, w.device_name,
       CASE WHEN w.state = 'ready' AND j.id IS NOT NULL THEN 'busy'
            WHEN w.state = 'ready' AND w.unfit <> '' THEN 'unfit'
            WHEN w.state = 'ready' AND w.quarantined_until > clock_timestamp() THEN 'quarantined'
            ELSE w.state::text END AS state,
       j.name AS job, l.rank, clock_timestamp() - w.last_seen AS silent_for, w.id
FROM workers w
LEFT JOIN leases l ON l.worker_id = w.id AND l.released_at IS NULL
LEFT JOIN attempts a ON a.id = l.attempt_id
LEFT JOIN jobs j ON j.id = a.job_id
WHERE w.state <> 'gone'
ORDER BY w.name;
