-- Data sets that people put into the store. Each is one file there: datasets/NAME.SHA256.tar, and while it arrives
-- .uploads/NAME.SHA256.part. No file is without its row: the row comes first and goes last.

CREATE TABLE datasets (
    name       text PRIMARY KEY,
    owner      text NOT NULL,
    sha256     text NOT NULL,
    bytes      bigint NOT NULL CHECK (bytes > 0),
    arrived    bigint NOT NULL DEFAULT 0,
    touched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stored_at  timestamptz,
    classes    bigint,
    train      bigint,
    test       bigint,
    CHECK ((stored_at IS NULL) = (classes IS NULL) AND (classes IS NULL) = (train IS NULL) AND (train IS NULL) = (test IS NULL))
);
COMMENT ON TABLE datasets IS 'Data sets that people put into the store.';
COMMENT ON COLUMN datasets.name IS 'As in folder:NAME.';
COMMENT ON COLUMN datasets.owner IS 'Whose it is, as in experiments.owner.';
COMMENT ON COLUMN datasets.sha256 IS 'Of the packed file.';
COMMENT ON COLUMN datasets.bytes IS 'Of the packed file; counts towards its owner''s limit from the beginning.';
COMMENT ON COLUMN datasets.arrived IS 'Bytes that had arrived when that was noted last; the file itself says how many there are.';
COMMENT ON COLUMN datasets.touched_at IS 'When something of it arrived last: what stays unfinished for a day is forgotten.';
COMMENT ON COLUMN datasets.stored_at IS 'NULL while it arrives.';
CREATE INDEX datasets_by_owner ON datasets (owner);
