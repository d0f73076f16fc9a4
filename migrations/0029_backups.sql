-- Which house this is, and that files are not to be removed while a backup of it is being taken.

CREATE TABLE house (
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id            uuid NOT NULL DEFAULT gen_random_uuid(),
    restored_from uuid,
    backup_at     timestamptz,
    restored_at   timestamptz,
    CONSTRAINT house_restored_is_whole
        CHECK ((restored_from IS NULL) = (restored_at IS NULL) AND (backup_at IS NULL) = (restored_at IS NULL))
);
COMMENT ON TABLE house IS 'Who this database is. A house that is restored from a backup is another than the one that the backup was taken of.';
COMMENT ON COLUMN house.id IS 'A worker remembers it, with what it has still to report, and reports that to no other house.';
COMMENT ON COLUMN house.restored_from IS 'Id of the house that the backup was taken of ...';
COMMENT ON COLUMN house.backup_at IS '... when that was ...';
COMMENT ON COLUMN house.restored_at IS '... and when it was restored: what was given out before does not count.';
INSERT INTO house DEFAULT VALUES;

CREATE TABLE backups (
    id         uuid PRIMARY KEY,
    who        text NOT NULL,
    began_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE backups IS
    'Backups that are being taken: until they expire, nobody removes files that rows name. One that is killed stops renewing its row.';
