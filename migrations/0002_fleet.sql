-- Who executes: workers, attempts, and the leases that tie them together for a while.

CREATE TYPE worker_state AS ENUM ('ready', 'draining', 'lost', 'gone');
COMMENT ON TYPE worker_state IS
    'ready: takes work (busy while it holds a lease). draining: finishes what it has and leaves. '
    'lost: was not heard of for longer than a lease. gone: left as announced, or was lost long ago.';

CREATE TABLE workers (
    id            uuid PRIMARY KEY,
    name          text NOT NULL CHECK (name <> ''),
    host          text NOT NULL,
    device_kind   text NOT NULL CHECK (device_kind <> ''),
    device_index  integer NOT NULL,
    device_name   text NOT NULL,
    device_uuid   text NOT NULL,
    memory_bytes  bigint NOT NULL,
    cores         integer NOT NULL,
    driver        text NOT NULL,
    version       text NOT NULL,
    state         worker_state NOT NULL,
    session_id    uuid,
    facts         jsonb,
    registered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
COMMENT ON TABLE workers IS 'One CUDA device or one CPU slot, held by one worker process.';
COMMENT ON COLUMN workers.id IS 'Chosen by the worker and kept in its state folder: the same over restarts.';
COMMENT ON COLUMN workers.device_kind IS '"cuda" or "cpu". A gang is of one kind.';
COMMENT ON COLUMN workers.session_id IS 'The open stream to some coordinator; null while there is none.';
COMMENT ON COLUMN workers.facts IS 'What changes on the device: use, memory, temperature, foreign processes.';
COMMENT ON COLUMN workers.last_seen IS 'Written every two seconds at most, not with every heartbeat.';

CREATE TYPE attempt_state AS ENUM
    ('assigned', 'starting', 'training', 'succeeded', 'failed', 'lost', 'preempted', 'cancelled');
COMMENT ON TYPE attempt_state IS
    'assigned: workers are claimed. starting: a rank is there and loads. training: steps go on. failed: the fault of '
    'the job, not retried. lost: the fault of a machine, retried. preempted: stopped at a checkpoint as asked.';

CREATE SEQUENCE fence;
COMMENT ON SEQUENCE fence IS 'Only grows. Each attempt takes the next number; every write of a worker carries it.';

CREATE TABLE attempts (
    id              uuid PRIMARY KEY,
    job_id          uuid NOT NULL REFERENCES jobs,
    number          integer NOT NULL CHECK (number >= 1),
    fence           bigint NOT NULL UNIQUE DEFAULT nextval('fence'),
    leader_term     bigint NOT NULL,
    world_size      integer NOT NULL CHECK (world_size >= 1),
    state           attempt_state NOT NULL DEFAULT 'assigned',
    cause           text NOT NULL DEFAULT '',
    rendezvous_host text,
    rendezvous_port integer CHECK (rendezvous_port BETWEEN 1 AND 65535),
    first_step      bigint NOT NULL DEFAULT 0,
    assigned_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    starting_at     timestamptz,
    training_at     timestamptz,
    ended_at        timestamptz,
    UNIQUE (job_id, number),
    UNIQUE (id, fence),
    CONSTRAINT attempts_end_has_a_time
        CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'lost', 'preempted', 'cancelled'))),
    CONSTRAINT attempts_rendezvous_is_whole CHECK ((rendezvous_host IS NULL) = (rendezvous_port IS NULL))
) WITH (fillfactor = 80);
COMMENT ON TABLE attempts IS 'One execution of a job by a gang of workers.';
COMMENT ON COLUMN attempts.fence IS 'A write that carries another number than the live attempt''s changes nothing.';
COMMENT ON COLUMN attempts.leader_term IS 'Term of the scheduler that placed it: see leader.';
COMMENT ON COLUMN attempts.cause IS 'Why it ended, in words.';
COMMENT ON COLUMN attempts.rendezvous_host IS 'Where the ranks meet; told by the worker of rank 0.';
COMMENT ON COLUMN attempts.first_step IS 'Step it began at: 0, or that of the checkpoint it took.';
COMMENT ON COLUMN attempts.training_at IS 'The first rank said that it trains.';
CREATE UNIQUE INDEX attempts_one_live_per_job ON attempts (job_id) WHERE state IN ('assigned', 'starting', 'training');

CREATE TYPE rank_outcome AS ENUM ('succeeded', 'job_failed', 'lost', 'preempted', 'cancelled');
COMMENT ON TYPE rank_outcome IS 'How one rank ended. job_failed: bad data, a loss that is not finite. lost: a signal, a lost peer, a full disk.';

CREATE TABLE leases (
    attempt_id    uuid NOT NULL,
    rank          integer NOT NULL CHECK (rank >= 0),
    worker_id     uuid NOT NULL REFERENCES workers,
    fence         bigint NOT NULL,
    expires_at    timestamptz NOT NULL,
    dispatched_at timestamptz,
    last_sequence bigint NOT NULL DEFAULT 0,
    released_at   timestamptz,
    outcome       rank_outcome,
    cause         text NOT NULL DEFAULT '',
    PRIMARY KEY (attempt_id, rank),
    FOREIGN KEY (attempt_id, fence) REFERENCES attempts (id, fence),
    CONSTRAINT leases_release_has_an_outcome CHECK ((released_at IS NULL) = (outcome IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE leases IS 'The right of a worker to act as one rank of one attempt, until a moment. Renewed while it is heard of.';
COMMENT ON COLUMN leases.expires_at IS 'By the clock of the database. Deliberately not indexed: it changes every two seconds.';
COMMENT ON COLUMN leases.dispatched_at IS 'The worker was told. Null: nobody has started anything.';
COMMENT ON COLUMN leases.last_sequence IS 'Number of the last report stored. A report is stored once, however often it is sent.';
COMMENT ON COLUMN leases.released_at IS 'The rank has ended and its worker is free; or nobody vouched for it any more.';
CREATE UNIQUE INDEX leases_one_live_per_worker ON leases (worker_id) WHERE released_at IS NULL;

CREATE TABLE leader (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    holder     uuid NOT NULL,
    name       text NOT NULL,
    term       bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
COMMENT ON TABLE leader IS 'The one coordinator that places gangs and looks for lost ones. Others serve requests and wait.';
COMMENT ON COLUMN leader.term IS 'Grows whenever the leader was away or is another; what it decides is valid in its term only.';
