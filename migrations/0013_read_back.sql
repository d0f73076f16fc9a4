-- A job has succeeded once what it made is read back: until then its attempt is live, and its workers are free.

ALTER TYPE attempt_state ADD VALUE 'verifying' AFTER 'training';
COMMENT ON TYPE attempt_state IS
    'assigned: workers are claimed. starting: a rank is there and loads. training: steps go on. verifying: the ranks have '
    'succeeded, and a coordinator reads back what they made. failed: the fault of the job, not retried. lost: the fault of '
    'a machine, retried. preempted: stopped at a checkpoint as asked.';

-- A new value may not be named in the transaction that adds it; an attempt is live until it has a time of its end.
DROP INDEX attempts_one_live_per_job;
CREATE UNIQUE INDEX attempts_one_live_per_job ON attempts (job_id) WHERE ended_at IS NULL;

ALTER TABLE attempts ADD COLUMN verifying_at timestamptz;
COMMENT ON COLUMN attempts.verifying_at IS 'Its ranks had succeeded and left artifacts. Null: they left none, or did not succeed.';

ALTER TABLE artifacts ADD COLUMN rank integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN artifacts.rank IS 'The rank that wrote it: its worker is the one to name if it is damaged.';
COMMENT ON COLUMN progress.phase IS 'What it does: "started", "data", "training", "evaluating", "verifying".';
COMMENT ON COLUMN leases.outcome IS
    'How the rank ended. Of one whose artifact was then found missing or damaged: input_missing, from that moment on.';
