-- Telling people what has happened: where to, what of it, and the messages that are on their way.

CREATE TABLE notify_targets (
    id            text PRIMARY KEY CHECK (length(id) = 8),
    person        text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('webhook', 'mail')),
    address       text NOT NULL CHECK (address <> ''),
    secret        text NOT NULL DEFAULT '',
    finished      boolean NOT NULL,
    failed        boolean NOT NULL,
    job_failed    boolean NOT NULL,
    waits_seconds bigint CHECK (waits_seconds > 0),
    device_lost   boolean NOT NULL,
    of_all        boolean NOT NULL,
    made_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (person, kind, address),
    CONSTRAINT notify_targets_signs_webhooks CHECK ((secret <> '') = (kind = 'webhook'))
);
COMMENT ON TABLE notify_targets IS 'Where people want to be told what has happened: tandem notify.';
COMMENT ON COLUMN notify_targets.person IS 'Whose it is, as in experiments.owner.';
COMMENT ON COLUMN notify_targets.address IS 'A URL, or an address of mail.';
COMMENT ON COLUMN notify_targets.secret IS 'By which a webhook is signed. Shown once; here it must be kept itself, not as a hash.';
COMMENT ON COLUMN notify_targets.finished IS 'An experiment has ended, and all of it has succeeded.';
COMMENT ON COLUMN notify_targets.failed IS 'An experiment has ended, and something of it has not.';
COMMENT ON COLUMN notify_targets.job_failed IS 'Each job that fails, at once.';
COMMENT ON COLUMN notify_targets.waits_seconds IS 'An experiment has waited for so long; null: not told.';
COMMENT ON COLUMN notify_targets.device_lost IS 'A worker is lost, or gets no more jobs.';
COMMENT ON COLUMN notify_targets.of_all IS 'Of everybody''s experiments: while it is an admin''s.';

-- Written in the transaction of what happened, so that none is forgotten; it takes no lock, so that nobody waits for it.
CREATE TABLE happenings (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id    uuid,
    worker_id uuid,
    message   text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT happenings_of_a_job_or_a_worker CHECK ((job_id IS NULL) <> (worker_id IS NULL))
);
COMMENT ON TABLE happenings IS
    'What the leader has still to make messages of: a job that ended, a worker that was lost. Empty but for a second.';
COMMENT ON COLUMN happenings.message IS 'The event''s, of a worker.';

CREATE TABLE tells (
    id         uuid PRIMARY KEY,
    event      text NOT NULL,
    target_id  text NOT NULL REFERENCES notify_targets ON DELETE CASCADE,
    message    jsonb NOT NULL,
    state      text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'given up')),
    tries      integer NOT NULL DEFAULT 0,
    next_try   timestamptz NOT NULL,
    last_error text NOT NULL DEFAULT '',
    made_at    timestamptz NOT NULL,
    ended_at   timestamptz,
    CONSTRAINT tells_once UNIQUE (event, target_id),
    CONSTRAINT tells_end_has_a_time CHECK ((ended_at IS NULL) = (state = 'pending'))
);
COMMENT ON TABLE tells IS 'The outbox: one message to one target. The leader sends it, and forgets it a fortnight later.';
COMMENT ON COLUMN tells.event IS 'What happened. One event is told to a target once, whoever finds it and how often.';
COMMENT ON COLUMN tells.message IS 'As a webhook gets it: domain::telling::words::Message.';
COMMENT ON COLUMN tells.next_try IS 'While it is tried: until when nobody else does.';
CREATE INDEX tells_pending ON tells (next_try) WHERE state = 'pending';
CREATE INDEX tells_by_target ON tells (target_id, made_at DESC);
CREATE INDEX tells_by_end ON tells (ended_at) WHERE ended_at IS NOT NULL;
