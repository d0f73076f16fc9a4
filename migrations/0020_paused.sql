-- By itself: a new value of an enum cannot be used in the transaction that adds it.
ALTER TYPE job_state ADD VALUE IF NOT EXISTS 'paused' AFTER 'queued';
