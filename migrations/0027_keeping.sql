-- Keeping and cleaning: tags and notes, experiments that are archived or deleted, how much of each person's is on disk, and what is
-- to be removed from there.

ALTER TABLE experiments
    ADD COLUMN archived_at timestamptz,
    ADD COLUMN deleted_at  timestamptz;
COMMENT ON COLUMN experiments.archived_at IS 'Out of the lists since; found by its name or id.';
COMMENT ON COLUMN experiments.deleted_at IS
    'Its owner wants nothing of it any more: it has no jobs, and nobody finds it. The row stays for those that name it.';
-- As lists go by them, newest first, and as the cleaning does, oldest first.
DROP INDEX experiments_by_age, experiments_by_owner_and_age;
CREATE INDEX experiments_by_age ON experiments (created_at DESC, id DESC) WHERE archived_at IS NULL AND deleted_at IS NULL;
CREATE INDEX experiments_by_owner_and_age ON experiments (owner, created_at DESC)
    WHERE archived_at IS NULL AND deleted_at IS NULL;
CREATE INDEX experiments_archived ON experiments (created_at DESC, id DESC) WHERE archived_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX experiments_archived_by_owner ON experiments (owner, created_at DESC)
    WHERE archived_at IS NOT NULL AND deleted_at IS NULL;

ALTER TABLE jobs
    ADD COLUMN hidden     boolean NOT NULL DEFAULT false,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN thinned_to integer NOT NULL DEFAULT 2147483647,
    ADD COLUMN brought_by uuid REFERENCES experiments,
    ADD COLUMN brought_as text,
    ADD CONSTRAINT jobs_brought_is_whole CHECK ((brought_by IS NULL) = (brought_as IS NULL)),
    ADD CONSTRAINT jobs_deleted_is_over CHECK (deleted_at IS NULL OR finished_at IS NOT NULL AND hidden),
    ADD CONSTRAINT jobs_deleted_serves_nobody CHECK ((deleted_at IS NULL) = (NOT starts_with(content_key, 'deleted:')));
COMMENT ON COLUMN jobs.hidden IS 'Every experiment that has it is archived, or it is deleted: out of the lists.';
COMMENT ON COLUMN jobs.deleted_at IS
    'Nobody wants it any more. Its files, figures, curves and logs go; the row stays for devices that were used, and for events. '
    'Its content key is `deleted:ID` since, so that no submit shares it.';
COMMENT ON COLUMN jobs.brought_by IS
    'The experiment that brought it, and its name there, since it was handed over to another: as its receipt says. Null: experiment_id.';
COMMENT ON COLUMN jobs.thinned_to IS 'Its curves have been thinned to so many points each.';
DROP INDEX jobs_by_state, jobs_by_stage;
CREATE INDEX jobs_by_state ON jobs (state, submitted_at DESC, experiment_id) WHERE NOT hidden;
CREATE INDEX jobs_by_stage ON jobs (stage, finished_at DESC)
    WHERE finished_at IS NOT NULL AND (state = 'succeeded' OR started_at IS NOT NULL) AND NOT hidden;
CREATE INDEX jobs_to_thin ON jobs (thinned_to, id) WHERE finished_at IS NOT NULL AND deleted_at IS NULL;

ALTER TABLE checkpoints ADD COLUMN gone_at timestamptz;
COMMENT ON COLUMN checkpoints.gone_at IS
    'Not on disk any more, or about to be removed: ranks keep the newest three of a job, and the policy may keep fewer.';
UPDATE checkpoints SET gone_at = stored_at
FROM (SELECT job_id, step, row_number() OVER (PARTITION BY job_id ORDER BY step DESC) AS place FROM checkpoints) placed
WHERE placed.job_id = checkpoints.job_id AND placed.step = checkpoints.step AND placed.place > 3;
CREATE INDEX checkpoints_kept ON checkpoints (job_id, step DESC) WHERE gone_at IS NULL;

CREATE TABLE job_files (
    job_id      uuid PRIMARY KEY REFERENCES jobs,
    owner       text NOT NULL,
    artifacts   bigint NOT NULL DEFAULT 0 CHECK (artifacts >= 0),
    checkpoints bigint NOT NULL DEFAULT 0 CHECK (checkpoints >= 0),
    bytes       bigint NOT NULL GENERATED ALWAYS AS (artifacts + checkpoints) STORED
);
COMMENT ON TABLE job_files IS 'Bytes on disk of each job that has any. Written beside the rows of its files.';
COMMENT ON COLUMN job_files.owner IS 'As jobs.owner, by a trigger: a job that several want counts for one of them.';
CREATE INDEX job_files_by_owner ON job_files (owner, bytes DESC);
CREATE INDEX job_files_with_checkpoints ON job_files (job_id) WHERE checkpoints > 0;
INSERT INTO job_files (job_id, owner, artifacts, checkpoints)
SELECT j.id, j.owner, COALESCE(a.bytes, 0), COALESCE(c.bytes, 0)
FROM jobs j
LEFT JOIN (SELECT job_id, sum(GREATEST(bytes, 0))::bigint AS bytes FROM artifacts GROUP BY job_id) a ON a.job_id = j.id
LEFT JOIN (SELECT job_id, sum(GREATEST(bytes, 0))::bigint AS bytes FROM checkpoints WHERE gone_at IS NULL GROUP BY job_id) c
    ON c.job_id = j.id
WHERE a.bytes > 0 OR c.bytes > 0;

-- How much each person has is asked at every submit, and changes with every checkpoint. A row for each person would make reports of
-- its jobs wait for each other; so changes are added up now and then, and whoever asks adds those that are left.
CREATE TABLE stored_bytes (owner text PRIMARY KEY, bytes bigint NOT NULL);
COMMENT ON TABLE stored_bytes IS 'Bytes on disk of each person, but for those in stored_changes.';
INSERT INTO stored_bytes SELECT owner, sum(bytes) FROM job_files GROUP BY owner;
CREATE TABLE stored_changes (owner text NOT NULL, bytes bigint NOT NULL);
COMMENT ON TABLE stored_changes IS 'Of job_files since they were added up last; a minute of them.';
CREATE FUNCTION stored_has_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.owner = NEW.owner AND OLD.bytes = NEW.bytes THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.bytes <> 0 THEN
        INSERT INTO stored_changes VALUES (OLD.owner, -OLD.bytes);
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.bytes <> 0 THEN
        INSERT INTO stored_changes VALUES (NEW.owner, NEW.bytes);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER job_files_stored AFTER INSERT OR UPDATE OR DELETE ON job_files
    FOR EACH ROW EXECUTE FUNCTION stored_has_changed();
CREATE FUNCTION job_has_another_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE job_files SET owner = NEW.owner WHERE job_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_owner AFTER UPDATE OF owner ON jobs
    FOR EACH ROW WHEN (OLD.owner <> NEW.owner) EXECUTE FUNCTION job_has_another_owner();

CREATE TABLE tags (
    target uuid NOT NULL,
    is_job boolean NOT NULL,
    word   text NOT NULL CHECK (word <> ''),
    who    text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (target, word)
);
COMMENT ON TABLE tags IS 'Words on jobs and experiments. What has one is kept, whatever the policy removes by age.';
COMMENT ON COLUMN tags.target IS 'A job, or an experiment.';
CREATE INDEX tags_by_word ON tags (word, at DESC);
CREATE TABLE notes (
    target uuid PRIMARY KEY,
    is_job boolean NOT NULL,
    text   text NOT NULL CHECK (text <> ''),
    who    text NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE notes IS 'What somebody wants to be known of a job or an experiment.';

CREATE TABLE removals (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id     uuid NOT NULL REFERENCES jobs,
    path       text NOT NULL CHECK (path <> ''),
    is_whole   boolean NOT NULL,
    bytes      bigint NOT NULL,
    since      timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    removed_at timestamptz,
    tries      integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT ''
);
COMMENT ON TABLE removals IS
    'What is to be removed from the store: written with the decision, gone when nothing of it is left. The leader does it.';
COMMENT ON COLUMN removals.path IS 'In the store: jobs/ID, or a checkpoint below it.';
COMMENT ON COLUMN removals.is_whole IS 'All of a job that is deleted: the rows of its curves and logs go, too.';
COMMENT ON COLUMN removals.due_at IS 'When it is tried next; while it is tried, when it is tried again if nobody says how it went.';
COMMENT ON COLUMN removals.removed_at IS
    'It was removed, and is once more a day later: a rank that was cut off may have written meanwhile.';
CREATE INDEX removals_due ON removals (due_at);
CREATE INDEX removals_by_job ON removals (job_id);

CREATE TABLE cleaned (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    at       timestamptz NOT NULL
);
COMMENT ON TABLE cleaned IS 'When the leader last removed all that the policy does not keep: it does so once a day.';

CREATE OR REPLACE VIEW job_overview AS
SELECT e.name AS experiment, j.name AS job, j.stage, j.state, j.reason,
       (SELECT count(*) FROM attempts a WHERE a.job_id = j.id) AS attempts,
       p.phase, p.epoch, p.epochs, p.step, p.steps, round(p.images_per_second) AS images_per_second,
       (SELECT jsonb_object_agg(m.name, m.value) FROM newest_metrics(j.id) m) AS metrics,
       (SELECT jsonb_object_agg(r.name, r.value) FROM results r WHERE r.job_id = j.id) AS results,
       j.finished_at - j.started_at AS took, j.created_at, j.id
FROM jobs j JOIN experiments e ON e.id = j.experiment_id LEFT JOIN progress p ON p.job_id = j.id
WHERE j.deleted_at IS NULL
ORDER BY e.created_at DESC, j.created_at;
