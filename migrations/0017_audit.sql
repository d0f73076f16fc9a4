-- Who changed what, from where, and who was refused. Rows are added and never changed; a month is dropped as a whole, by the owner
-- of the table alone (`tandem-server audit-drop`). The coordinator works as the role tandem_runtime, which owns nothing: see
-- server/src/store/runtime_role.rs, which makes it, its rights, and the partitions of the coming months.

CREATE TABLE audit (
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    id      uuid NOT NULL DEFAULT gen_random_uuid(),
    who     text NOT NULL,
    via     text NOT NULL,
    origin  text NOT NULL,
    what    text NOT NULL,
    object  text NOT NULL,
    job_id  uuid,
    whose   text NOT NULL,
    outcome text NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
COMMENT ON TABLE audit IS 'Append-only: every change that somebody asked for, and every refusal.';
COMMENT ON COLUMN audit.who IS 'A person, `login:ACCOUNT`, a worker, or nobody.';
COMMENT ON COLUMN audit.via IS 'The id of a token, or `socket`.';
COMMENT ON COLUMN audit.origin IS 'The address that it came from, or the account of the socket.';
COMMENT ON COLUMN audit.what IS 'The method, as in Jobs/Cancel.';
COMMENT ON COLUMN audit.object IS 'What it was done to: an experiment, a job, a worker, a person, a token.';
COMMENT ON COLUMN audit.whose IS 'Whose that is; empty for things of the house.';
COMMENT ON COLUMN audit.outcome IS '`done`, or why not.';
CREATE INDEX audit_by_who ON audit (who, at DESC);
CREATE INDEX audit_by_job ON audit (job_id, at DESC) WHERE job_id IS NOT NULL;
CREATE TABLE audit_default PARTITION OF audit DEFAULT;
COMMENT ON TABLE audit_default IS 'What is of no month that has a partition.';

-- Even where the database's user may make no roles, and the coordinator so works as the owner.
CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is only added to; a month is dropped by tandem-server audit-drop';
END $$;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_kept();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
