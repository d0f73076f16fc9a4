-- What is decided by a checkpoint's age is decided by the database's clock: a worker's may be minutes off.

ALTER TABLE checkpoints ADD COLUMN stored_at timestamptz;
UPDATE checkpoints SET stored_at = at;
ALTER TABLE checkpoints
    ALTER COLUMN stored_at SET NOT NULL,
    ALTER COLUMN stored_at SET DEFAULT clock_timestamp();
COMMENT ON COLUMN checkpoints.at IS 'By the clock of the machine that wrote it: for people.';
COMMENT ON COLUMN checkpoints.stored_at IS 'By the database''s clock: for decisions.';
