-- Who may use this house: people, and the tokens of people, workers and programs.

CREATE TYPE person_role AS ENUM ('reader', 'submitter', 'admin');
CREATE TYPE token_role AS ENUM ('reader', 'submitter', 'admin', 'worker', 'scrape');

CREATE TABLE people (
    name        text PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,31}$'),
    role        person_role NOT NULL,
    login       text UNIQUE CHECK (login <> ''),
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);
COMMENT ON TABLE people IS 'Who may use this house beside the accounts of the box that runs it.';
COMMENT ON COLUMN people.login IS 'The account of the box that is this person; what that submits is the person''s.';
COMMENT ON COLUMN people.disabled_at IS 'Its tokens are refused, and its jobs were cancelled.';

CREATE TABLE tokens (
    id           text PRIMARY KEY CHECK (length(id) = 8),
    role         token_role NOT NULL,
    person       text REFERENCES people,
    name         text NOT NULL,
    hash         bytea NOT NULL CHECK (octet_length(hash) = 32),
    made_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_by      text NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    once         boolean NOT NULL DEFAULT false,
    parent       text REFERENCES tokens,
    worker_id    uuid,
    CONSTRAINT tokens_of_a_person_or_of_none CHECK ((person IS NULL) = (role IN ('worker', 'scrape'))),
    CONSTRAINT tokens_of_a_worker CHECK (worker_id IS NULL OR role = 'worker')
);
COMMENT ON TABLE tokens IS 'What is known of a token: never the token itself.';
COMMENT ON COLUMN tokens.role IS 'What it allows at most; a person''s never more than the person''s own role.';
COMMENT ON COLUMN tokens.hash IS 'SHA-256 of the whole token, which has 256 random bits.';
COMMENT ON COLUMN tokens.last_used_at IS 'To the minute.';
COMMENT ON COLUMN tokens.once IS 'Good for nothing but to make one other token, which revokes it.';
COMMENT ON COLUMN tokens.parent IS 'The token of the same person that it was made with: it ends when that ends, and is revoked with it.';
COMMENT ON COLUMN tokens.worker_id IS 'The worker that used it first: from then on it is that worker''s.';
CREATE INDEX tokens_by_person ON tokens (person);
CREATE INDEX tokens_by_parent ON tokens (parent) WHERE parent IS NOT NULL;
CREATE INDEX tokens_by_worker ON tokens (worker_id) WHERE worker_id IS NOT NULL;

-- Every coordinator keeps what it knows of tokens in memory and reads it again when this number has changed.
CREATE TABLE access_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
);
COMMENT ON TABLE access_version IS 'Grows with every change of people or tokens, whoever makes it.';
INSERT INTO access_version (version) VALUES (0);

CREATE FUNCTION access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE access_version SET version = version + 1;
    PERFORM pg_notify('tandem', 'access');
    RETURN NULL;
END $$;
CREATE TRIGGER people_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON people
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();
CREATE TRIGGER tokens_changed AFTER INSERT OR DELETE OR TRUNCATE
    OR UPDATE OF id, role, person, hash, expires_at, revoked_at, worker_id ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();

-- Until now an owner was the name of an account, as the client said. Such are `login:NAME` from here on.
UPDATE experiments SET owner = 'login:' || owner;
COMMENT ON COLUMN experiments.owner IS 'Who submitted it: a person, or `login:ACCOUNT` where no person is linked to that.';
-- Names resolve among one's own first.
CREATE INDEX experiments_by_owner ON experiments (owner, name, created_at DESC);
