-- Receipts: what produced a result, signed by the house's key, and what ranks say of what they run in.

ALTER TABLE experiments ADD COLUMN learn_version text NOT NULL DEFAULT '';
COMMENT ON COLUMN experiments.learn_version IS
    'Version of what training computes that its content keys were made for; empty of those of before receipts.';

ALTER TABLE checkpoints ADD COLUMN state_sha256 text NOT NULL DEFAULT '';
COMMENT ON COLUMN checkpoints.state_sha256 IS
    'Of the state alone, without times: equal runs have the same. Empty: its worker did not say.';

ALTER TABLE jobs
    ADD COLUMN reproduces   uuid REFERENCES jobs,
    ADD COLUMN replay_from  bigint,
    ADD COLUMN replay_until bigint,
    ADD CONSTRAINT jobs_replay_is_whole CHECK ((replay_from IS NULL) = (replay_until IS NULL)),
    ADD CONSTRAINT jobs_replay_is_of_a_job CHECK (replay_until IS NULL OR reproduces IS NOT NULL AND replay_until > replay_from);
COMMENT ON COLUMN jobs.reproduces IS 'The job that this one runs anew, to compare: it shares its content with nobody.';
COMMENT ON COLUMN jobs.replay_from IS
    'It runs no more than the steps from this one, whose checkpoint it takes (0: the beginning), ...';
COMMENT ON COLUMN jobs.replay_until IS '... to this one, evaluates again what the other exported, and exports nothing.';
CREATE INDEX jobs_reproducing ON jobs (reproduces) WHERE reproduces IS NOT NULL;

CREATE TABLE environments (
    sha256 text PRIMARY KEY,
    facts  jsonb NOT NULL
);
COMMENT ON TABLE environments IS
    'What ranks run in: device, program, libtorch, processor. One row for all ranks that say the same; never changed.';
COMMENT ON COLUMN environments.facts IS 'domain::receipt::Environment.';

CREATE TABLE rank_environments (
    attempt_id  uuid NOT NULL REFERENCES attempts,
    rank        integer NOT NULL,
    environment text NOT NULL REFERENCES environments,
    PRIMARY KEY (attempt_id, rank)
);
COMMENT ON TABLE rank_environments IS 'What each rank ran in, if it lived to say so.';

CREATE TABLE receipt_keys (
    id          text PRIMARY KEY,
    pem         text NOT NULL,
    coordinator text NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE receipt_keys IS
    'Public keys that receipts of this house verify with. The private one is a file of the coordinators alone.';
COMMENT ON COLUMN receipt_keys.id IS 'SHA-256 of its SubjectPublicKeyInfo.';
COMMENT ON COLUMN receipt_keys.coordinator IS 'That made it.';

CREATE TABLE receipts_due (
    job_id uuid PRIMARY KEY REFERENCES jobs,
    since  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE receipts_due IS
    'Jobs that have succeeded and have no receipt yet. Empty but for a second, while a coordinator has the key.';

CREATE TABLE receipts (
    job_id    uuid PRIMARY KEY REFERENCES jobs,
    statement text NOT NULL,
    sha256    text NOT NULL,
    key_id    text NOT NULL REFERENCES receipt_keys,
    signature bytea NOT NULL,
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE receipts IS 'What produced the result of each job that has succeeded, as it was signed; never changed.';
COMMENT ON COLUMN receipts.statement IS 'The bytes that are signed: a statement of in-toto, with domain::receipt::Receipt.';
COMMENT ON COLUMN receipts.sha256 IS 'Of the statement.';
COMMENT ON COLUMN receipts.signature IS 'ECDSA on P-256 with SHA-256, in ASN.1, over the DSSE form of the statement.';
