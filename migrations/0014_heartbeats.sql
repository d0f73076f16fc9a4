-- Heartbeats are one row for each coordinator and not one write for each worker: a row that is written every second or two must not
-- grow a long chain of dead versions while a backup holds a snapshot open, because every look at it would walk that chain.

CREATE TABLE heartbeats (
    coordinator   uuid PRIMARY KEY,
    at            timestamptz NOT NULL,
    workers       uuid[] NOT NULL,
    heard         timestamptz[] NOT NULL,
    facts         jsonb[] NOT NULL,
    attempts      uuid[] NOT NULL,
    ranks         integer[] NOT NULL,
    renewed       timestamptz[] NOT NULL,
    progress      timestamptz[] NOT NULL,
    slowest_ms    bigint[] NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE heartbeats IS
    'What a coordinator last heard of the workers whose streams it holds, written every second or two, and of the ranks that hold '
    'a lease then. A lease expires by the newest of this and of leases.expires_at.';
COMMENT ON COLUMN heartbeats.at IS 'When it was written. All times are by the database''s clock.';
COMMENT ON COLUMN heartbeats.heard IS 'When the newest heartbeat of each worker came; renewed: that which last renewed each lease.';
COMMENT ON COLUMN heartbeats.progress IS 'When the rank last did a piece of work. Null: its worker has not said.';

-- Functions and not views, so that the planner knows about how many rows come.
CREATE FUNCTION workers_heard() RETURNS TABLE (worker_id uuid, at timestamptz, facts jsonb)
LANGUAGE sql STABLE ROWS 1000 SET search_path FROM CURRENT AS $$
    SELECT DISTINCT ON (beat.worker_id) beat.worker_id, beat.at, beat.facts
    FROM heartbeats h CROSS JOIN LATERAL UNNEST(h.workers, h.heard, h.facts) AS beat (worker_id, at, facts)
    ORDER BY beat.worker_id, beat.at DESC
$$;
COMMENT ON FUNCTION workers_heard IS 'The newest heartbeat of each worker, and what it said of its device.';

CREATE FUNCTION leases_heard() RETURNS TABLE (
    attempt_id uuid, rank integer, at timestamptz, progress_at timestamptz, slowest_ms bigint)
LANGUAGE sql STABLE ROWS 1000 SET search_path FROM CURRENT AS $$
    SELECT DISTINCT ON (beat.attempt_id, beat.rank) beat.attempt_id, beat.rank, beat.at, beat.progress_at, beat.slowest_ms
    FROM heartbeats h
    CROSS JOIN LATERAL UNNEST(h.attempts, h.ranks, h.renewed, h.progress, h.slowest_ms)
        AS beat (attempt_id, rank, at, progress_at, slowest_ms)
    ORDER BY beat.attempt_id, beat.rank, beat.at DESC
$$;
COMMENT ON FUNCTION leases_heard IS 'The newest heartbeat that renewed each lease, and when its rank last did a piece of work.';

CREATE TABLE received (
    attempt_id    uuid NOT NULL,
    rank          integer NOT NULL,
    last_sequence bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (attempt_id, rank),
    FOREIGN KEY (attempt_id, rank) REFERENCES leases (attempt_id, rank) ON DELETE CASCADE
) WITH (fillfactor = 50);
COMMENT ON TABLE received IS
    'Number of the last report stored of each rank: a report is stored once, however often it is sent. Beside leases, because it '
    'changes with every report.';
INSERT INTO received SELECT attempt_id, rank, last_sequence FROM leases;
ALTER TABLE leases ADD COLUMN has_reported boolean NOT NULL DEFAULT false;
UPDATE leases SET has_reported = true WHERE last_sequence > 0;
COMMENT ON COLUMN leases.has_reported IS 'A report of the rank is stored. Here, because heartbeats must not look at `received`.';

COMMENT ON COLUMN leases.expires_at IS
    'By the clock of the database. Written when the lease begins, when its worker registers and when a new leader takes over; in '
    'between it is renewed by heartbeats.';
COMMENT ON COLUMN workers.last_seen IS 'Written when it registers and when its stream ends; in between: heartbeats.';

DROP VIEW fleet_overview;
CREATE VIEW fleet_overview AS
SELECT w.name, w.host, w.device_kind, w.device_name,
       CASE WHEN w.state = 'ready' AND j.id IS NOT NULL THEN 'busy'
            WHEN w.state = 'ready' AND w.unfit <> '' THEN 'unfit'
            WHEN w.state = 'ready' AND w.quarantined_until > clock_timestamp() THEN 'quarantined'
            ELSE w.state::text END AS state,
       j.name AS job, l.rank, clock_timestamp() - GREATEST(w.last_seen, heard.at) AS silent_for, w.id
FROM workers w
LEFT JOIN workers_heard() heard ON heard.worker_id = w.id
LEFT JOIN leases l ON l.worker_id = w.id AND l.released_at IS NULL
LEFT JOIN attempts a ON a.id = l.attempt_id
LEFT JOIN jobs j ON j.id = a.job_id
WHERE w.state <> 'gone'
ORDER BY w.name;
COMMENT ON VIEW fleet_overview IS 'The workers and what they do.';

ALTER TABLE leases DROP COLUMN last_sequence;
ALTER TABLE workers DROP COLUMN facts;
