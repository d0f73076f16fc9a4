-- Priorities, the progress clock, stops at a checkpoint, quarantine, and one live lease per device.

ALTER TYPE rank_outcome ADD VALUE 'peer_lost' AFTER 'lost';
COMMENT ON TYPE rank_outcome IS
    'How one rank ended. job_failed: bad data, a loss that is not finite. lost: a signal, a full disk; its worker is at '
    'fault. peer_lost: another rank went away and took it along.';

ALTER TABLE jobs
    ADD COLUMN priority integer NOT NULL DEFAULT 0,
    ADD COLUMN made_room_at text NOT NULL DEFAULT '';
COMMENT ON COLUMN jobs.priority IS 'The higher goes first. The highest of the experiments that want it.';
COMMENT ON COLUMN jobs.made_room_at IS
    'What the fleet looked like (a hash) when gangs were last stopped for it: not tried again until that has changed.';
DROP INDEX jobs_queue;
CREATE INDEX jobs_queue ON jobs (priority DESC, queued_at, id) WHERE state = 'queued';

ALTER TABLE attempts
    ADD COLUMN stop_asked_at timestamptz,
    ADD COLUMN stop_reason text NOT NULL DEFAULT '',
    ADD COLUMN at_stake double precision NOT NULL DEFAULT 0;
COMMENT ON COLUMN attempts.stop_asked_at IS 'The scheduler wants it to stop at a checkpoint: to make room, or to grow.';
COMMENT ON COLUMN attempts.at_stake IS 'Device seconds since its last checkpoint when it was asked to stop.';

ALTER TABLE leases
    ADD COLUMN device text,
    ADD COLUMN progress_at timestamptz,
    ADD COLUMN slowest_ms bigint;
UPDATE leases SET device = CASE WHEN w.device_uuid = '' THEN w.id::text ELSE w.device_uuid END
FROM workers w WHERE w.id = leases.worker_id;
ALTER TABLE leases ALTER COLUMN device SET NOT NULL;
COMMENT ON COLUMN leases.device IS 'UUID of the CUDA device; of a CPU slot, which is no device, the id of its worker.';
COMMENT ON COLUMN leases.progress_at IS 'The other clock: when the rank last did a piece of work. Null: its worker has not said.';
COMMENT ON COLUMN leases.slowest_ms IS 'The slowest piece so far, which tells how long is too long. Null before the first.';
-- Two worker processes on one device would be two gangs on it.
CREATE UNIQUE INDEX leases_one_live_per_device ON leases (device) WHERE released_at IS NULL;
-- What a worker's ranks came to lately.
CREATE INDEX leases_by_worker ON leases (worker_id, released_at DESC) WHERE released_at IS NOT NULL;

ALTER TABLE workers
    ADD COLUMN quarantined_until timestamptz,
    ADD COLUMN quarantine_reason text NOT NULL DEFAULT '';
COMMENT ON COLUMN workers.quarantined_until IS 'It gets no rank before: one job after the other was lost on it.';

CREATE OR REPLACE VIEW fleet_overview AS
SELECT w.name, w.host, w.device_kind, w.device_name,
       CASE WHEN w.state = 'ready' AND j.id IS NOT NULL THEN 'busy'
            WHEN w.state = 'ready' AND w.quarantined_until > clock_timestamp() THEN 'quarantined'
            ELSE w.state::text END AS state,
       j.name AS job, l.rank, clock_timestamp() - w.last_seen AS silent_for, w.id
FROM workers w
LEFT JOIN leases l ON l.worker_id = w.id AND l.released_at IS NULL
LEFT JOIN attempts a ON a.id = l.attempt_id
LEFT JOIN jobs j ON j.id = a.job_id
WHERE w.state <> 'gone'
ORDER BY w.name;
