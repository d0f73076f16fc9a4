-- What devices are like and were, and what follows from that: who uses them beside this house, and whether they are well.

ALTER TABLE workers
    ADD COLUMN withheld text NOT NULL DEFAULT '',
    ADD COLUMN quarantined_by text NOT NULL DEFAULT 'losses' CHECK (quarantined_by IN ('losses', 'device'));
COMMENT ON COLUMN workers.withheld IS
    'Why nobody is given its device at this moment, as its worker says: others use it, or it is not there. Empty: it may be given out.';
COMMENT ON COLUMN workers.quarantined_by IS
    'losses: jobs were lost on it. device: its card is throttled or failing, whatever became of jobs.';

-- No references to workers: a lock on each of their rows with each look would be in the way of those who give out work.
CREATE TABLE samples (
    worker_id     uuid NOT NULL,
    at            timestamptz NOT NULL,
    utilization   smallint,
    memory_used   bigint,
    temperature   smallint,
    power_watts   smallint,
    sm_clock      smallint,
    memory_clock  smallint,
    throttle      smallint,
    pcie_received bigint,
    pcie_sent     bigint,
    load          real,
    PRIMARY KEY (worker_id, at)
);
COMMENT ON TABLE samples IS
    'Looks at devices, one every few seconds, kept for an hour. A figure that is null is not known.';
COMMENT ON COLUMN samples.at IS 'By the clock of the database.';
COMMENT ON COLUMN samples.memory_used IS 'Bytes. Of a CPU slot: of its machine.';
COMMENT ON COLUMN samples.throttle IS 'Bits of NVML: 8, 64 and 128 are of the hardware.';
COMMENT ON COLUMN samples.pcie_received IS 'Bytes per second.';
COMMENT ON COLUMN samples.load IS 'Of a CPU slot: processes that run or would run.';
CREATE INDEX samples_by_age ON samples (at);

CREATE TABLE samples_by_minute (
    worker_id    uuid NOT NULL,
    minute       timestamptz NOT NULL,
    looks        smallint NOT NULL,
    utilization  real,
    memory_used  bigint,
    temperature  smallint,
    power_watts  real,
    sm_clock     real,
    load         real,
    throttled    boolean NOT NULL,
    PRIMARY KEY (worker_id, minute)
);
COMMENT ON TABLE samples_by_minute IS
    'One row for each device and minute, kept for a month: means of utilisation, power, clock and load, else the greatest.';
COMMENT ON COLUMN samples_by_minute.throttled IS 'By the hardware, at one look at least.';
CREATE INDEX samples_by_minute_by_age ON samples_by_minute (minute);

CREATE TABLE samples_thinned (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    through  timestamptz NOT NULL
);
COMMENT ON TABLE samples_thinned IS 'Up to which minute there are rows by minute: no look is dropped before.';
INSERT INTO samples_thinned (through) VALUES (date_trunc('minute', clock_timestamp()));

CREATE TABLE device_facts (
    worker_id uuid PRIMARY KEY,
    at        timestamptz NOT NULL,
    facts     jsonb NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE device_facts IS
    'The newest look at each device in full: {"reading", "processes", "late"}. Overwritten every few seconds, and read for people alone.';

-- Who used how much, since when.
CREATE INDEX leases_by_end ON leases (released_at) WHERE released_at IS NOT NULL;

CREATE OR REPLACE VIEW fleet_overview AS
SELECT w.name, w.host, w.device_kind, w.device_name,
       CASE WHEN w.state = 'ready' AND j.id IS NOT NULL THEN 'busy'
            WHEN w.state = 'ready' AND w.unfit <> '' THEN 'unfit'
            WHEN w.state = 'ready' AND w.quarantined_until > clock_timestamp() THEN 'quarantined'
            WHEN w.state = 'ready' AND w.withheld <> '' THEN 'in use'
            ELSE w.state::text END AS state,
       j.name AS job, l.rank, clock_timestamp() - GREATEST(w.last_seen, heard.at) AS silent_for, w.id
FROM workers w
LEFT JOIN workers_heard() heard ON heard.worker_id = w.id
LEFT JOIN leases l ON l.worker_id = w.id AND l.released_at IS NULL
LEFT JOIN attempts a ON a.id = l.attempt_id
LEFT JOIN jobs j ON j.id = a.job_id
WHERE w.state <> 'gone'
ORDER BY w.name;
