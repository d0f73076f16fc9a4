-- Questions about jobs that somebody has kept under a name.

CREATE TABLE saved_views (
    owner    text NOT NULL,
    name     text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,31}$'),
    question jsonb NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (owner, name)
);
COMMENT ON TABLE saved_views IS 'Questions that people ask again: tandem view.';
COMMENT ON COLUMN saved_views.owner IS 'Whose it is, as in experiments.owner. Everybody may ask it, as OWNER/NAME.';
COMMENT ON COLUMN saved_views.question IS 'As it is asked, without page and number: query::asked::Saved.';
COMMENT ON COLUMN saved_views.made_at IS 'When it was saved last.';
