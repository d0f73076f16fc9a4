-- How a house is shared: its policy, whose jobs are whose, who has used what, what is held, paused, or may train so long only.

COMMENT ON TYPE job_state IS
    'blocked: waits for the jobs it starts from. queued: waits for workers. paused: waits for a person. running: an attempt '
    'holds workers. succeeded: at an end, for good. failed, cancelled: at an end, unless somebody asks for it again.';

CREATE TABLE policies (
    version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    toml    text NOT NULL,
    who     text NOT NULL,
    set_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE policies IS 'Every policy that was ever set; the newest is in force. Without one that of domain::policy is.';

ALTER TABLE jobs
    ADD COLUMN owner          text NOT NULL DEFAULT '',
    ADD COLUMN max_seconds    double precision CHECK (max_seconds > 0),
    ADD COLUMN forgiven_fence bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN jobs.owner IS 'Whose devices it takes: of those that want it, who asked first.';
COMMENT ON COLUMN jobs.max_seconds IS 'The longest that it may train, over all attempts; null: for as long as it takes.';
COMMENT ON COLUMN jobs.forgiven_fence IS 'Attempts up to this fence do not count against it: somebody has asked for it again since.';
UPDATE jobs SET owner = e.owner FROM experiments e WHERE e.id = jobs.experiment_id;

DROP INDEX jobs_one_per_content;
CREATE UNIQUE INDEX jobs_one_per_content ON jobs (content_key)
    WHERE state IN ('blocked', 'queued', 'paused', 'running', 'succeeded');
DROP INDEX jobs_queue;
CREATE INDEX jobs_queue ON jobs (gang_min, images, owner, priority DESC, queued_at, position, id) WHERE state = 'queued';
CREATE INDEX jobs_paused ON jobs (id) WHERE state = 'paused';
CREATE INDEX jobs_waiting_by_owner ON jobs (owner) WHERE state IN ('blocked', 'queued', 'paused');
CREATE INDEX jobs_left_by_content ON jobs (content_key, finished_at DESC) WHERE state IN ('failed', 'cancelled');

ALTER TABLE experiment_jobs
    ADD COLUMN paused_at timestamptz,
    ADD COLUMN priority  integer;
COMMENT ON COLUMN experiment_jobs.paused_at IS 'Its owner does not want it now. A job is paused when all that want it do not want it now.';
COMMENT ON COLUMN experiment_jobs.priority IS 'In place of the experiment''s.';

ALTER TABLE attempts
    ADD COLUMN passed_job   uuid,
    ADD COLUMN passed_until timestamptz,
    ADD COLUMN estimated_seconds double precision,
    ADD CONSTRAINT attempts_passed_is_whole CHECK ((passed_job IS NULL) = (passed_until IS NULL));
COMMENT ON COLUMN attempts.passed_job IS 'Who was first in line when it started on workers that were reserved for that one ...';
COMMENT ON COLUMN attempts.passed_until IS '... and when it was to have ended.';
COMMENT ON COLUMN attempts.estimated_seconds IS 'What it was expected to take when it was placed, from its beginning; null where nobody knew.';
CREATE INDEX attempts_by_end ON attempts (ended_at DESC) WHERE state = 'succeeded' AND estimated_seconds > 0;

ALTER TABLE workers
    ADD COLUMN drained_at   timestamptz,
    ADD COLUMN drained_by   text NOT NULL DEFAULT '',
    ADD COLUMN drain_reason text NOT NULL DEFAULT '',
    ADD COLUMN held_until   timestamptz,
    ADD COLUMN held_by      text NOT NULL DEFAULT '',
    ADD COLUMN hold_reason  text NOT NULL DEFAULT '';
COMMENT ON COLUMN workers.drained_at IS 'An admin wants it to get nothing new; beside its state, and kept when it registers anew.';
COMMENT ON COLUMN workers.held_until IS 'Until then somebody has its device for itself.';

CREATE TABLE device_use (
    owner       text NOT NULL,
    hour        timestamptz NOT NULL,
    device_kind text NOT NULL,
    seconds     double precision NOT NULL,
    PRIMARY KEY (owner, hour, device_kind)
);
COMMENT ON TABLE device_use IS 'Seconds of devices of attempts that have ended: whose, when, of which kind. Kept for two years.';
CREATE INDEX device_use_by_hour ON device_use (hour);
INSERT INTO device_use (owner, hour, device_kind, seconds)
SELECT j.owner, date_trunc('hour', a.ended_at), w.device_kind,
       sum(EXTRACT(epoch FROM COALESCE(a.verifying_at, a.ended_at) - a.assigned_at))
FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN leases l ON l.attempt_id = a.id JOIN workers w ON w.id = l.worker_id
WHERE a.ended_at IS NOT NULL
GROUP BY j.owner, date_trunc('hour', a.ended_at), w.device_kind;
