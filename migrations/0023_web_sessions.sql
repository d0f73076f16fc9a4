-- Browsers that are logged in, and the codes that `tandem web` logs one in with. Of both only the SHA-256 is stored. Each belongs to
-- the token that it was made with, or to an account of one box, and ends when that does.

CREATE TABLE web_sessions (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    token      text REFERENCES tokens,
    account    bigint,
    host       text,
    made_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT web_sessions_of_a_token_or_an_account CHECK ((token IS NULL) = (account IS NOT NULL AND host IS NOT NULL))
);
COMMENT ON TABLE web_sessions IS 'Browsers that are logged in. Logging out deletes the row.';
COMMENT ON COLUMN web_sessions.account IS 'Number of an account, as the kernel of that host said at the socket.';
COMMENT ON COLUMN web_sessions.host IS 'The start of the box that this account is of: elsewhere, and after the next one, the number may be somebody else''s.';
CREATE INDEX web_sessions_by_token ON web_sessions (token) WHERE token IS NOT NULL;
CREATE INDEX web_sessions_by_end ON web_sessions (expires_at);
CREATE TRIGGER web_sessions_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON web_sessions
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();

CREATE TABLE web_codes (
    id         uuid PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    token      text REFERENCES tokens,
    account    bigint,
    host       text,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    CONSTRAINT web_codes_of_a_token_or_an_account CHECK ((token IS NULL) = (account IS NOT NULL AND host IS NOT NULL))
);
COMMENT ON TABLE web_codes IS 'Codes of `tandem web`: good once, for a minute.';

-- The page shows the line as it is, whatever the size of the gangs in it.
CREATE INDEX jobs_in_line ON jobs (priority DESC, queued_at, position, id) WHERE state = 'queued';
-- And somebody's experiments by age, of any name.
CREATE INDEX experiments_by_owner_and_age ON experiments (owner, created_at DESC);
