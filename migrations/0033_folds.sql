-- Jobs that have ended, and whose last points are still to be put into chunks. By itself: it takes a while in a long history, and the
-- statements before it lock jobs.

CREATE TABLE folds (
    job_id uuid PRIMARY KEY,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE folds IS 'Jobs that have ended with points in metrics. Whoever leads makes chunks of these.';
INSERT INTO folds (job_id)
SELECT id FROM jobs j WHERE finished_at IS NOT NULL AND EXISTS (SELECT FROM metrics m WHERE m.job_id = j.id);
