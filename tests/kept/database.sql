
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE TYPE public.attempt_state AS ENUM (
    'assigned',
    'starting',
    'training',
    'succeeded',
    'failed',
    'lost',
    'preempted',
    'cancelled'
);

COMMENT ON TYPE public.attempt_state IS 'assigned: workers are claimed. starting: a rank is there and loads. training: steps go on. failed: the fault of the job, not retried. lost: the fault of a machine, retried. preempted: stopped at a checkpoint as asked.';

CREATE TYPE public.job_state AS ENUM (
    'blocked',
    'queued',
    'running',
    'succeeded',
    'failed',
    'cancelled'
);

COMMENT ON TYPE public.job_state IS 'blocked: waits for the jobs it starts from. queued: waits for workers. running: an attempt holds workers. succeeded, failed, cancelled: at an end, for good.';

CREATE TYPE public.rank_outcome AS ENUM (
    'succeeded',
    'job_failed',
    'lost',
    'peer_lost',
    'preempted',
    'cancelled'
);

COMMENT ON TYPE public.rank_outcome IS 'How one rank ended. job_failed: bad data, a loss that is not finite. lost: a signal, a full disk; its worker is at fault. peer_lost: another rank went away and took it along.';

CREATE TYPE public.worker_state AS ENUM (
    'ready',
    'draining',
    'lost',
    'gone'
);

COMMENT ON TYPE public.worker_state IS 'ready: takes work (busy while it holds a lease). draining: finishes what it has and leaves. lost: was not heard of for longer than a lease. gone: left as announced, or was lost long ago.';

CREATE FUNCTION public.newest_metrics(job uuid) RETURNS TABLE(name text, step bigint, value double precision)
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    -- One look into the primary key per curve, however long the curves are: a loose index scan, which Postgres does
    -- not do by itself for DISTINCT ON.
    WITH RECURSIVE newest AS (
        (SELECT m.name, m.step, m.value FROM metrics m
         WHERE m.job_id = job ORDER BY m.name DESC, m.step DESC LIMIT 1)
        UNION ALL
        SELECT next.name, next.step, next.value
        FROM newest, LATERAL (
            SELECT m.name, m.step, m.value FROM metrics m
            WHERE m.job_id = job AND m.name < newest.name ORDER BY m.name DESC, m.step DESC LIMIT 1
        ) next
    )
    SELECT newest.name, newest.step, newest.value FROM newest
$$;

COMMENT ON FUNCTION public.newest_metrics(job uuid) IS 'The last point of each curve of a job.';

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);

CREATE TABLE public.artifacts (
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    uri text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    fence bigint NOT NULL,
    at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.artifacts IS 'Files that outlive the job: "encoder", "classifier".';

COMMENT ON COLUMN public.artifacts.uri IS 'Place in the store, relative to its root.';

CREATE SEQUENCE public.fence
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

COMMENT ON SEQUENCE public.fence IS 'Only grows. Each attempt takes the next number; every write of a worker carries it.';

CREATE TABLE public.attempts (
    id uuid NOT NULL,
    job_id uuid NOT NULL,
    number integer NOT NULL,
    fence bigint DEFAULT nextval('public.fence'::regclass) NOT NULL,
    leader_term bigint NOT NULL,
    world_size integer NOT NULL,
    state public.attempt_state DEFAULT 'assigned'::public.attempt_state NOT NULL,
    cause text DEFAULT ''::text NOT NULL,
    rendezvous_host text,
    rendezvous_port integer,
    first_step bigint DEFAULT 0 NOT NULL,
    assigned_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    starting_at timestamp with time zone,
    training_at timestamp with time zone,
    ended_at timestamp with time zone,
    stop_asked_at timestamp with time zone,
    stop_reason text DEFAULT ''::text NOT NULL,
    at_stake double precision DEFAULT 0 NOT NULL,
    CONSTRAINT attempts_end_has_a_time CHECK (((ended_at IS NOT NULL) = (state = ANY (ARRAY['succeeded'::public.attempt_state, 'failed'::public.attempt_state, 'lost'::public.attempt_state, 'preempted'::public.attempt_state, 'cancelled'::public.attempt_state])))),
    CONSTRAINT attempts_number_check CHECK ((number >= 1)),
    CONSTRAINT attempts_rendezvous_is_whole CHECK (((rendezvous_host IS NULL) = (rendezvous_port IS NULL))),
    CONSTRAINT attempts_rendezvous_port_check CHECK (((rendezvous_port >= 1) AND (rendezvous_port <= 65535))),
    CONSTRAINT attempts_world_size_check CHECK ((world_size >= 1))
)
WITH (fillfactor='80');

COMMENT ON TABLE public.attempts IS 'One execution of a job by a gang of workers.';

COMMENT ON COLUMN public.attempts.fence IS 'A write that carries another number than the live attempt''s changes nothing.';

COMMENT ON COLUMN public.attempts.leader_term IS 'Term of the scheduler that placed it: see leader.';

COMMENT ON COLUMN public.attempts.cause IS 'Why it ended, in words.';

COMMENT ON COLUMN public.attempts.rendezvous_host IS 'Where the ranks meet; told by the worker of rank 0.';

COMMENT ON COLUMN public.attempts.first_step IS 'Step it began at: 0, or that of the checkpoint it took.';

COMMENT ON COLUMN public.attempts.training_at IS 'The first rank said that it trains.';

COMMENT ON COLUMN public.attempts.stop_asked_at IS 'The scheduler wants it to stop at a checkpoint: to make room, or to grow.';

COMMENT ON COLUMN public.attempts.at_stake IS 'Device seconds since its last checkpoint when it was asked to stop.';

CREATE TABLE public.experiments (
    id uuid NOT NULL,
    name text NOT NULL,
    owner text NOT NULL,
    toml text NOT NULL,
    file_name text NOT NULL,
    fresh boolean NOT NULL,
    idempotency_key text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT experiments_idempotency_key_check CHECK ((idempotency_key <> ''::text)),
    CONSTRAINT experiments_name_check CHECK ((name <> ''::text))
);

COMMENT ON TABLE public.experiments IS 'What a person submitted: one file, a small graph of jobs.';

COMMENT ON COLUMN public.experiments.name IS 'As in the file. Not unique: the newest experiment of a name is the one meant.';

COMMENT ON COLUMN public.experiments.owner IS 'Who submitted it; until tokens exist, what the client said.';

COMMENT ON COLUMN public.experiments.toml IS 'The file as written.';

COMMENT ON COLUMN public.experiments.file_name IS 'Its name on the disk of the submitter.';

COMMENT ON COLUMN public.experiments.fresh IS 'Submitted with --fresh: shares no job with any other experiment.';

COMMENT ON COLUMN public.experiments.idempotency_key IS 'Chosen by the client. A submit that is sent twice is one experiment.';

CREATE TABLE public.jobs (
    id uuid NOT NULL,
    experiment_id uuid NOT NULL,
    name text NOT NULL,
    stage text NOT NULL,
    spec jsonb NOT NULL,
    content_key text NOT NULL,
    state public.job_state NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    workers_min integer NOT NULL,
    workers_max integer NOT NULL,
    shards integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    queued_at timestamp with time zone,
    not_before timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    work text DEFAULT ''::text NOT NULL,
    gflop double precision DEFAULT 0 NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    made_room_at text DEFAULT ''::text NOT NULL,
    CONSTRAINT jobs_check CHECK ((workers_max >= workers_min)),
    CONSTRAINT jobs_content_key_check CHECK ((content_key <> ''::text)),
    CONSTRAINT jobs_end_has_a_time CHECK (((finished_at IS NOT NULL) = (state = ANY (ARRAY['succeeded'::public.job_state, 'failed'::public.job_state, 'cancelled'::public.job_state])))),
    CONSTRAINT jobs_name_check CHECK ((name <> ''::text)),
    CONSTRAINT jobs_queued_has_a_place CHECK (((queued_at IS NOT NULL) OR (state <> ALL (ARRAY['queued'::public.job_state, 'running'::public.job_state])))),
    CONSTRAINT jobs_shards_check CHECK ((shards >= 1)),
    CONSTRAINT jobs_workers_min_check CHECK ((workers_min >= 1))
)
WITH (fillfactor='80');

COMMENT ON TABLE public.jobs IS 'One node of an experiment after sweeps are expanded: what is scheduled, trained and measured.';

COMMENT ON COLUMN public.jobs.experiment_id IS 'The experiment that brought it. Others may share it: see experiment_jobs.';

COMMENT ON COLUMN public.jobs.spec IS 'Everything that training is told: domain::spec::JobSpec.';

COMMENT ON COLUMN public.jobs.content_key IS 'Hash of what determines the result. Two jobs of equal content are one job.';

COMMENT ON COLUMN public.jobs.reason IS 'Why it waits, failed or was cancelled, for a person.';

COMMENT ON COLUMN public.jobs.workers_min IS 'A gang has between workers_min and workers_max workers, a divisor of shards.';

COMMENT ON COLUMN public.jobs.shards IS 'Logical parts of a batch. Results depend on shards, never on the number of workers.';

COMMENT ON COLUMN public.jobs.queued_at IS 'Its place in the queue; kept when an attempt is lost.';

COMMENT ON COLUMN public.jobs.not_before IS 'The wait after a lost attempt.';

COMMENT ON COLUMN public.jobs.started_at IS 'First attempt assigned.';

COMMENT ON COLUMN public.jobs.work IS 'Kind of work: jobs of one kind do as many operations a second. "supervised resnet18 exact".';

COMMENT ON COLUMN public.jobs.gflop IS '10^9 floating-point operations of the whole job as estimated; 0 where that is not known.';

COMMENT ON COLUMN public.jobs.priority IS 'The higher goes first. The highest of the experiments that want it.';

COMMENT ON COLUMN public.jobs.made_room_at IS 'What the fleet looked like (a hash) when gangs were last stopped for it: not tried again until that has changed.';

CREATE TABLE public.leases (
    attempt_id uuid NOT NULL,
    rank integer NOT NULL,
    worker_id uuid NOT NULL,
    fence bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    dispatched_at timestamp with time zone,
    last_sequence bigint DEFAULT 0 NOT NULL,
    released_at timestamp with time zone,
    outcome public.rank_outcome,
    cause text DEFAULT ''::text NOT NULL,
    device text NOT NULL,
    progress_at timestamp with time zone,
    slowest_ms bigint,
    CONSTRAINT leases_rank_check CHECK ((rank >= 0)),
    CONSTRAINT leases_release_has_an_outcome CHECK (((released_at IS NULL) = (outcome IS NULL)))
)
WITH (fillfactor='50');

COMMENT ON TABLE public.leases IS 'The right of a worker to act as one rank of one attempt, until a moment. Renewed while it is heard of.';

COMMENT ON COLUMN public.leases.expires_at IS 'By the clock of the database. Deliberately not indexed: it changes every two seconds.';

COMMENT ON COLUMN public.leases.dispatched_at IS 'The worker was told. Null: nobody has started anything.';

COMMENT ON COLUMN public.leases.last_sequence IS 'Number of the last report stored. A report is stored once, however often it is sent.';

COMMENT ON COLUMN public.leases.released_at IS 'The rank has ended and its worker is free; or nobody vouched for it any more.';

COMMENT ON COLUMN public.leases.device IS 'UUID of the CUDA device; of a CPU slot, which is no device, the id of its worker.';

COMMENT ON COLUMN public.leases.progress_at IS 'The other clock: when the rank last did a piece of work. Null: its worker has not said.';

COMMENT ON COLUMN public.leases.slowest_ms IS 'The slowest piece so far, which tells how long is too long. Null before the first.';

CREATE TABLE public.workers (
    id uuid NOT NULL,
    name text NOT NULL,
    host text NOT NULL,
    device_kind text NOT NULL,
    device_index integer NOT NULL,
    device_name text NOT NULL,
    device_uuid text NOT NULL,
    memory_bytes bigint NOT NULL,
    cores integer NOT NULL,
    driver text NOT NULL,
    version text NOT NULL,
    state public.worker_state NOT NULL,
    session_id uuid,
    facts jsonb,
    registered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    quarantined_until timestamp with time zone,
    quarantine_reason text DEFAULT ''::text NOT NULL,
    CONSTRAINT workers_device_kind_check CHECK ((device_kind <> ''::text)),
    CONSTRAINT workers_name_check CHECK ((name <> ''::text))
)
WITH (fillfactor='50');

COMMENT ON TABLE public.workers IS 'One CUDA device or one CPU slot, held by one worker process.';

COMMENT ON COLUMN public.workers.id IS 'Chosen by the worker and kept in its state folder: the same over restarts.';

COMMENT ON COLUMN public.workers.device_kind IS '"cuda" or "cpu". A gang is of one kind.';

COMMENT ON COLUMN public.workers.session_id IS 'The open stream to some coordinator; null while there is none.';

COMMENT ON COLUMN public.workers.facts IS 'What changes on the device: use, memory, temperature, foreign processes.';

COMMENT ON COLUMN public.workers.last_seen IS 'Written every two seconds at most, not with every heartbeat.';

COMMENT ON COLUMN public.workers.quarantined_until IS 'It gets no rank before: one job after the other was lost on it.';

CREATE VIEW public.attempt_overview AS
 SELECT e.name AS experiment,
    j.name AS job,
    a.number,
    a.fence,
    a.state,
    a.cause,
    ( SELECT string_agg(w.name, ', '::text ORDER BY l.rank) AS string_agg
           FROM (public.leases l
             JOIN public.workers w ON ((w.id = l.worker_id)))
          WHERE (l.attempt_id = a.id)) AS workers,
    a.assigned_at,
    (a.training_at - a.assigned_at) AS until_training,
    (a.ended_at - a.assigned_at) AS took
   FROM ((public.attempts a
     JOIN public.jobs j ON ((j.id = a.job_id)))
     JOIN public.experiments e ON ((e.id = j.experiment_id)))
  ORDER BY a.fence DESC;

COMMENT ON VIEW public.attempt_overview IS 'Who executed what, how long it took to start, and how it ended.';

CREATE TABLE public.checkpoints (
    job_id uuid NOT NULL,
    step bigint NOT NULL,
    path text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    fence bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT checkpoints_step_check CHECK ((step >= 0))
);

COMMENT ON TABLE public.checkpoints IS 'Where a job can go on from. The row is written after the files are durable.';

COMMENT ON COLUMN public.checkpoints.path IS 'Folder in the store, relative to its root.';

COMMENT ON COLUMN public.checkpoints.sha256 IS 'Of the manifest, which names every file and its checksum.';

CREATE TABLE public.events (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    job_id uuid,
    attempt_id uuid,
    worker_id uuid,
    kind text NOT NULL,
    message text NOT NULL,
    CONSTRAINT events_kind_check CHECK ((kind <> ''::text))
);

COMMENT ON TABLE public.events IS 'What happened, one row a transition, only ever appended. The times tell where time went.';

COMMENT ON COLUMN public.events.at IS 'By the database''s clock; for what a rank reports, by the clock of its machine.';

COMMENT ON COLUMN public.events.message IS 'For a person.';

ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.experiment_jobs (
    experiment_id uuid NOT NULL,
    name text NOT NULL,
    job_id uuid NOT NULL,
    "position" integer NOT NULL,
    reused boolean NOT NULL,
    withdrawn_at timestamp with time zone
);

COMMENT ON TABLE public.experiment_jobs IS 'The jobs of an experiment, by the names its file gives them.';

COMMENT ON COLUMN public.experiment_jobs."position" IS 'Order of the graph: a job stands after those it starts from.';

COMMENT ON COLUMN public.experiment_jobs.reused IS 'The job was there already, from an experiment with the same content.';

COMMENT ON COLUMN public.experiment_jobs.withdrawn_at IS 'The experiment was cancelled. A shared job goes on while another experiment wants it.';

CREATE VIEW public.fleet_overview AS
 SELECT w.name,
    w.host,
    w.device_kind,
    w.device_name,
        CASE
            WHEN ((w.state = 'ready'::public.worker_state) AND (j.id IS NOT NULL)) THEN 'busy'::text
            WHEN ((w.state = 'ready'::public.worker_state) AND (w.quarantined_until > clock_timestamp())) THEN 'quarantined'::text
            ELSE (w.state)::text
        END AS state,
    j.name AS job,
    l.rank,
    (clock_timestamp() - w.last_seen) AS silent_for,
    w.id
   FROM (((public.workers w
     LEFT JOIN public.leases l ON (((l.worker_id = w.id) AND (l.released_at IS NULL))))
     LEFT JOIN public.attempts a ON ((a.id = l.attempt_id)))
     LEFT JOIN public.jobs j ON ((j.id = a.job_id)))
  WHERE (w.state <> 'gone'::public.worker_state)
  ORDER BY w.name;

COMMENT ON VIEW public.fleet_overview IS 'The workers and what they do.';

CREATE TABLE public.job_dependencies (
    job_id uuid NOT NULL,
    depends_on uuid NOT NULL,
    "position" integer NOT NULL,
    CONSTRAINT job_dependencies_not_itself CHECK ((job_id <> depends_on))
);

COMMENT ON TABLE public.job_dependencies IS 'Which job starts from the results of which, in the order of spec.inputs.';

CREATE TABLE public.progress (
    job_id uuid NOT NULL,
    fence bigint NOT NULL,
    phase text DEFAULT ''::text NOT NULL,
    step bigint DEFAULT 0 NOT NULL,
    steps bigint DEFAULT 0 NOT NULL,
    epoch integer DEFAULT 0 NOT NULL,
    epochs integer DEFAULT 0 NOT NULL,
    images_per_second double precision DEFAULT 0 NOT NULL,
    seconds_left double precision DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE public.progress IS 'How far a job is: the newest word of rank 0. Overwritten; the history is in metrics.';

COMMENT ON COLUMN public.progress.phase IS 'What it does: "started", "data", "training", "evaluating".';

COMMENT ON COLUMN public.progress.images_per_second IS 'Of the whole gang.';

CREATE TABLE public.results (
    job_id uuid NOT NULL,
    name text NOT NULL,
    value double precision NOT NULL,
    fence bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT results_name_check CHECK ((name <> ''::text))
);

COMMENT ON TABLE public.results IS 'Final figures: "linear_accuracy", "loss", "seconds", ...';

CREATE VIEW public.job_overview AS
 SELECT e.name AS experiment,
    j.name AS job,
    j.stage,
    j.state,
    j.reason,
    ( SELECT count(*) AS count
           FROM public.attempts a
          WHERE (a.job_id = j.id)) AS attempts,
    p.phase,
    p.epoch,
    p.epochs,
    p.step,
    p.steps,
    round(p.images_per_second) AS images_per_second,
    ( SELECT jsonb_object_agg(m.name, m.value) AS jsonb_object_agg
           FROM public.newest_metrics(j.id) m(name, step, value)) AS metrics,
    ( SELECT jsonb_object_agg(r.name, r.value) AS jsonb_object_agg
           FROM public.results r
          WHERE (r.job_id = j.id)) AS results,
    (j.finished_at - j.started_at) AS took,
    j.created_at,
    j.id
   FROM ((public.jobs j
     JOIN public.experiments e ON ((e.id = j.experiment_id)))
     LEFT JOIN public.progress p ON ((p.job_id = j.id)))
  ORDER BY e.created_at DESC, j.created_at;

COMMENT ON VIEW public.job_overview IS 'Every job at a glance, newest experiment first.';

CREATE TABLE public.leader (
    only_row boolean DEFAULT true NOT NULL,
    holder uuid NOT NULL,
    name text NOT NULL,
    term bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT leader_only_row_check CHECK (only_row)
);

COMMENT ON TABLE public.leader IS 'The one coordinator that places gangs and looks for lost ones. Others serve requests and wait.';

COMMENT ON COLUMN public.leader.term IS 'Grows whenever the leader was away or is another; what it decides is valid in its term only.';

CREATE TABLE public.logs (
    attempt_id uuid NOT NULL,
    rank integer NOT NULL,
    sequence bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    line text NOT NULL
);

COMMENT ON TABLE public.logs IS 'What ranks wrote, line by line.';

COMMENT ON COLUMN public.logs.sequence IS 'Number of the report that brought it: grows per (attempt, rank), with gaps.';

CREATE TABLE public.metrics (
    job_id uuid NOT NULL,
    name text NOT NULL,
    step bigint NOT NULL,
    value double precision NOT NULL,
    fence bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT metrics_name_check CHECK ((name <> ''::text)),
    CONSTRAINT metrics_step_check CHECK ((step >= 0))
);

COMMENT ON TABLE public.metrics IS 'Curves: "loss", "knn_accuracy", ... A step that a later attempt repeats changes nothing.';

INSERT INTO public._sqlx_migrations VALUES
	(1, 'jobs', '2026-11-28 20:03:41.379304+00', true, '\x7815706504a4955588908dec5f9bcd05f5c639d152ec8ebd8dc90a3afa3ec46e292cc50ec926a1af8695df5364d1e554', 195059742),
	(2, 'fleet', '2026-11-28 20:03:41.590455+00', true, '\x6929fd6fdb460b23056b3ccd03d0a27e1266756834be320ad0864d9640d28ab0055e4581b733a12eb29fa8d6b10860da', 119934186),
	(3, 'traces', '2026-11-28 20:03:41.713382+00', true, '\x7b47b1903a2432cf4be01eb277a9571393ca3487161be0cb641ce8111a43de51bd57cc5479fc217850765ff7a228b7cd', 179506348),
	(4, 'views', '2026-11-28 20:03:41.898491+00', true, '\xf5bb46c1fdc6bd56eff6138f01cbb81bdea1525ad892394bf4ec8e24e3c6b69d3a2417427b0bf263464ffcb79f66c5b3', 47881802),
	(5, 'estimates', '2026-11-28 20:03:41.950375+00', true, '\x70a5bf6ac95532f5ae48aeb1e12d892ba9b0dfa295706e891ce87f65b945cbb589e389281428c6b575268c5693c2463b', 23910071),
	(6, 'nothing lost', '2026-11-28 20:03:41.978294+00', true, '\x8df6732bb76ab034df3da0fba908a102de7f0e2a82d5f80c5120065f37f1342403efc0b298b76bf4fc9d0f5ec2084a57', 70000901);

INSERT INTO public.artifacts VALUES
	('a4d5ef46-ac18-4e69-a1aa-03a302026b13', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'encoder', 'encoder.safetensors', 'jobs/0b720e7a-4c49-4596-b4b4-879122c3040d/artifacts/f2/encoder.safetensors', 'fb110af4a4c8413657037d4415e903492bf563bdca118c1baca76214be2f634c', 1261848, 2, '2026-11-28 20:18:25.838478+00'),
	('1dca0fc0-3f2f-4cba-b47a-26e88f3495ac', 'b0387319-d752-4897-a943-fc365854399c', 'classifier', 'classifier.safetensors', 'jobs/b0387319-d752-4897-a943-fc365854399c/artifacts/f4/classifier.safetensors', 'de2128bf21d8681bbb3e2b0d68cc7e4bc4e2aaadcbba6d43f0932258a77a6613', 1244344, 4, '2026-11-28 20:18:48.730929+00'),
	('38ebc318-6116-4e75-9e02-5f886ed11189', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'classifier', 'classifier.safetensors', 'jobs/92b21a27-eb5c-4e59-bfc2-9946815bf49c/artifacts/f3/classifier.safetensors', 'bff30558ac9e2cb390b1653371e62c1b4af4d9067379860ef43873ab3f65a9b7', 1244312, 3, '2026-11-28 20:18:51.383744+00'),
	('3891408f-faaf-4caf-8f35-8f55eaed01e3', '87737417-ae22-4e09-b72b-3af3efc9a092', 'attack', 'attack.csv', 'jobs/87737417-ae22-4e09-b72b-3af3efc9a092/artifacts/f5/attack.csv', 'ca18e27c48c13cc92e8d16a5d11596e58eaaaa06035b0edb3c17c19e7512430d', 561, 5, '2026-11-28 20:20:15.69873+00'),
	('181f4bef-b960-4050-9389-7ee26cd219b7', '87737417-ae22-4e09-b72b-3af3efc9a092', 'curve', 'curve.csv', 'jobs/87737417-ae22-4e09-b72b-3af3efc9a092/artifacts/f5/curve.csv', '7f821a9a4239551d0c594fee172c3f19b017dab66678f41bd4f872eef49b717f', 438, 5, '2026-11-28 20:20:15.698796+00'),
	('25516165-f978-431b-906f-af3d1f48528a', '87737417-ae22-4e09-b72b-3af3efc9a092', 'adversarial', 'adversarial.safetensors', 'jobs/87737417-ae22-4e09-b72b-3af3efc9a092/artifacts/f5/adversarial.safetensors', '62d387644a6e56d4573a8c394fb020e4c7d6203d81a63ada82839248f01263d6', 492816, 5, '2026-11-28 20:20:15.706232+00'),
	('151fcf30-4e99-429c-9349-473e3a6c7cbd', '87737417-ae22-4e09-b72b-3af3efc9a092', 'picture', 'attack.png', 'jobs/87737417-ae22-4e09-b72b-3af3efc9a092/artifacts/f5/attack.png', 'e65f27177bde65cfb6479e2e1738285ec6ae105fa1be5061fb6a504b9106fedd', 76679, 5, '2026-11-28 20:20:15.766381+00');

INSERT INTO public.attempts VALUES
	('f5067d00-57c5-432c-ba38-1b5c34cd486e', 'c266787a-9528-4c44-9a3b-2f7734233e67', 1, 1, 1, 2, 'cancelled', 'cancelled by request', '127.0.0.1', 36069, 0, '2026-11-28 20:14:22.111152+00', '2026-11-28 20:14:28.736589+00', '2026-11-28 20:14:38.905237+00', '2026-11-28 20:17:16.520258+00', NULL, '', 0),
	('cf3446aa-429b-4781-b7cc-fd2469cd5273', '0b720e7a-4c49-4596-b4b4-879122c3040d', 1, 2, 1, 2, 'succeeded', '', '127.0.0.1', 45567, 0, '2026-11-28 20:17:20.086619+00', '2026-11-28 20:17:25.410272+00', '2026-11-28 20:17:26.188932+00', '2026-11-28 20:18:26.247573+00', NULL, '', 0),
	('0833be92-9e71-49ab-8a99-e2358f5fa91d', 'b0387319-d752-4897-a943-fc365854399c', 1, 4, 1, 1, 'succeeded', '', NULL, NULL, 0, '2026-11-28 20:18:26.389515+00', '2026-11-28 20:18:31.175731+00', '2026-11-28 20:18:48.018524+00', '2026-11-28 20:18:48.935535+00', NULL, '', 0),
	('995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', 1, 3, 1, 1, 'succeeded', '', NULL, NULL, 0, '2026-11-28 20:18:25.722395+00', '2026-11-28 20:18:29.842881+00', '2026-11-28 20:18:31.179883+00', '2026-11-28 20:18:51.52059+00', NULL, '', 0),
	('7608303c-ef35-4133-9bf0-7df0ad52bc48', '87737417-ae22-4e09-b72b-3af3efc9a092', 1, 5, 1, 2, 'succeeded', '', '127.0.0.1', 36137, 0, '2026-11-28 20:18:51.613887+00', '2026-11-28 20:18:56.819413+00', '2026-11-28 20:19:17.197564+00', '2026-11-28 20:20:15.802577+00', NULL, '', 0);

INSERT INTO public.checkpoints VALUES
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 4, 'jobs/0b720e7a-4c49-4596-b4b4-879122c3040d/step-00000004-f2', '19aad53fd2033ab5141dc11fb1daa9c620096f8c10ef2756ff176af72ba8e462', 2514804, 2, '2026-11-28 20:17:47.96662+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 8, 'jobs/0b720e7a-4c49-4596-b4b4-879122c3040d/step-00000008-f2', 'cd70ae2ddbe66cfe96537f099f2875366655c21ddb12b2a2da857fcf112e6f1e', 2514802, 2, '2026-11-28 20:18:00.666526+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 12, 'jobs/0b720e7a-4c49-4596-b4b4-879122c3040d/step-00000012-f2', 'e3e671765e22e1919da681a3bfd73273da3a1105d1e3bf25698c3561aec03ead', 2514805, 2, '2026-11-28 20:18:15.16535+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 16, 'jobs/0b720e7a-4c49-4596-b4b4-879122c3040d/step-00000016-f2', 'ba53a592516174e6ec1fe7f315496235ba795bc1da0ebd1b98ae5921dd8da17d', 2514806, 2, '2026-11-28 20:18:25.718495+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 4, 'jobs/92b21a27-eb5c-4e59-bfc2-9946815bf49c/step-00000004-f3', '5696782d438dc1a7d9effcac3aeccb484cfb60244260a0033b586185ea250f79', 3724938, 3, '2026-11-28 20:18:40.646533+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 8, 'jobs/92b21a27-eb5c-4e59-bfc2-9946815bf49c/step-00000008-f3', 'c23115a754bd4bd678706510df8d91f54930e570c051f9189d45b7356e5d0945', 3724939, 3, '2026-11-28 20:18:45.982324+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 12, 'jobs/92b21a27-eb5c-4e59-bfc2-9946815bf49c/step-00000012-f3', '5c1bc7cd834681b75bc2a8036d58fd2773c696f1a4a38b54f171dbad6927fa12', 3724925, 3, '2026-11-28 20:18:50.382728+00');

INSERT INTO public.events OVERRIDING SYSTEM VALUE VALUES
	(1, '2026-11-28 20:03:49.23699+00', NULL, NULL, '01a223c1-bcc2-7535-8367-67b03df424c1', 'worker joined', 'cpu-0 on vm (cpu AMD EPYC)'),
	(2, '2026-11-28 20:03:49.479839+00', NULL, NULL, '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'worker joined', 'cpu-1 on vm (cpu AMD EPYC)'),
	(3, '2026-11-28 20:14:21.774354+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; queued'),
	(4, '2026-11-28 20:14:21.811973+00', 'da010ed3-f806-48d9-a8fa-c2a7bc07d57f', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; waits for `encoder`'),
	(5, '2026-11-28 20:14:21.840929+00', '9bfd53a7-4be7-4101-8344-0ed1b4840c0c', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; queued'),
	(6, '2026-11-28 20:14:21.858274+00', 'd8c8a8bb-f672-4d08-bae1-0ae224270185', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; waits for `baseline`'),
	(7, '2026-11-28 20:14:22.126896+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', NULL, 'assigned', 'attempt 1 assigned to cpu-0, cpu-1 (fence 1)'),
	(8, '2026-11-28 20:14:22.299182+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-bcc2-7535-8367-67b03df424c1', 'dispatched', 'sent to cpu-0 as rank 0 of 2'),
	(9, '2026-11-28 20:14:22.366205+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'dispatched', 'sent to cpu-1 as rank 1 of 2'),
	(10, '2026-11-28 20:14:28.642471+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'started', 'rank 1: started'),
	(11, '2026-11-28 20:14:28.665055+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rendezvous', 'rank 1: rendezvous'),
	(12, '2026-11-28 20:14:29.399112+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-bcc2-7535-8367-67b03df424c1', 'started', 'rank 0: started'),
	(13, '2026-11-28 20:14:29.411407+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rendezvous', 'rank 0: rendezvous'),
	(14, '2026-11-28 20:14:29.666345+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-bcc2-7535-8367-67b03df424c1', 'data', 'rank 0: data'),
	(15, '2026-11-28 20:14:29.713355+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'data', 'rank 1: data'),
	(16, '2026-11-28 20:14:38.896375+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-bcc2-7535-8367-67b03df424c1', 'training', 'rank 0: training'),
	(17, '2026-11-28 20:14:38.899389+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'training', 'rank 1: training'),
	(18, '2026-11-28 20:17:16.460413+00', '9bfd53a7-4be7-4101-8344-0ed1b4840c0c', NULL, NULL, 'cancelled', 'cancelled by request'),
	(19, '2026-11-28 20:17:16.520826+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', NULL, 'attempt ended', 'attempt 1 cancelled: cancelled by request'),
	(20, '2026-11-28 20:17:16.572961+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', NULL, NULL, 'cancelled', 'cancelled by request'),
	(21, '2026-11-28 20:17:16.586559+00', 'd8c8a8bb-f672-4d08-bae1-0ae224270185', NULL, NULL, 'cancelled', 'cancelled by request'),
	(22, '2026-11-28 20:17:16.618259+00', 'da010ed3-f806-48d9-a8fa-c2a7bc07d57f', NULL, NULL, 'cancelled', 'cancelled by request'),
	(23, '2026-11-28 20:17:16.954354+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rank ended', 'rank 1 on cpu-1: attempt 1 cancelled: cancelled by request'),
	(24, '2026-11-28 20:17:16.992379+00', 'c266787a-9528-4c44-9a3b-2f7734233e67', 'f5067d00-57c5-432c-ba38-1b5c34cd486e', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rank ended', 'rank 0 on cpu-0: attempt 1 cancelled: cancelled by request'),
	(25, '2026-11-28 20:17:19.959272+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; queued'),
	(26, '2026-11-28 20:17:19.988752+00', 'b0387319-d752-4897-a943-fc365854399c', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; waits for `encoder`'),
	(27, '2026-11-28 20:17:20.015438+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; queued'),
	(28, '2026-11-28 20:17:20.02614+00', '87737417-ae22-4e09-b72b-3af3efc9a092', NULL, NULL, 'submitted', 'submitted by root in experiment `kept`; waits for `baseline`'),
	(29, '2026-11-28 20:17:20.088625+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', NULL, 'assigned', 'attempt 1 assigned to cpu-0, cpu-1 (fence 2)'),
	(30, '2026-11-28 20:17:20.14458+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'dispatched', 'sent to cpu-0 as rank 0 of 2'),
	(31, '2026-11-28 20:17:20.22445+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'dispatched', 'sent to cpu-1 as rank 1 of 2'),
	(32, '2026-11-28 20:17:25.399232+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'started', 'rank 1: started'),
	(33, '2026-11-28 20:17:25.39934+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rendezvous', 'rank 1: rendezvous'),
	(34, '2026-11-28 20:17:25.397247+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'started', 'rank 0: started'),
	(35, '2026-11-28 20:17:25.411121+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rendezvous', 'rank 0: rendezvous'),
	(36, '2026-11-28 20:17:25.609217+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'data', 'rank 1: data'),
	(37, '2026-11-28 20:17:25.622836+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'data', 'rank 0: data'),
	(38, '2026-11-28 20:17:26.170243+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'training', 'rank 0: training'),
	(39, '2026-11-28 20:17:26.210262+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'training', 'rank 1: training'),
	(40, '2026-11-28 20:18:25.619751+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'exporting', 'rank 1: exporting'),
	(41, '2026-11-28 20:18:25.684096+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rank ended', 'rank 1 on cpu-1: finished'),
	(42, '2026-11-28 20:18:25.7345+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', NULL, 'assigned', 'attempt 1 assigned to cpu-1 (fence 3)'),
	(43, '2026-11-28 20:18:25.751078+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'dispatched', 'sent to cpu-1 as rank 0 of 1'),
	(44, '2026-11-28 20:18:25.718608+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'exporting', 'rank 0: exporting'),
	(45, '2026-11-28 20:18:26.23422+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rank ended', 'rank 0 on cpu-0: finished'),
	(46, '2026-11-28 20:18:26.248056+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', NULL, 'attempt ended', 'attempt 1 succeeded'),
	(47, '2026-11-28 20:18:26.290217+00', '0b720e7a-4c49-4596-b4b4-879122c3040d', 'cf3446aa-429b-4781-b7cc-fd2469cd5273', NULL, 'succeeded', 'finished'),
	(48, '2026-11-28 20:18:26.340552+00', 'b0387319-d752-4897-a943-fc365854399c', NULL, NULL, 'queued', 'its inputs are there'),
	(49, '2026-11-28 20:18:26.39106+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', NULL, 'assigned', 'attempt 1 assigned to cpu-0 (fence 4)'),
	(50, '2026-11-28 20:18:26.530228+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'dispatched', 'sent to cpu-0 as rank 0 of 1'),
	(51, '2026-11-28 20:18:29.819936+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'started', 'rank 0: started'),
	(52, '2026-11-28 20:18:29.832684+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'data', 'rank 0: data'),
	(53, '2026-11-28 20:18:31.148156+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'started', 'rank 0: started'),
	(54, '2026-11-28 20:18:31.156864+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'training', 'rank 0: training'),
	(55, '2026-11-28 20:18:31.266386+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'data', 'rank 0: data'),
	(56, '2026-11-28 20:18:31.398358+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'features', 'rank 0: features'),
	(57, '2026-11-28 20:18:33.97207+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'choosing ridge', 'rank 0: choosing ridge'),
	(58, '2026-11-28 20:18:47.973327+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'training', 'rank 0: training'),
	(59, '2026-11-28 20:18:48.606706+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'evaluating', 'rank 0: evaluating'),
	(60, '2026-11-28 20:18:48.935137+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rank ended', 'rank 0 on cpu-0: finished'),
	(61, '2026-11-28 20:18:48.942167+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', NULL, 'attempt ended', 'attempt 1 succeeded'),
	(62, '2026-11-28 20:18:48.978158+00', 'b0387319-d752-4897-a943-fc365854399c', '0833be92-9e71-49ab-8a99-e2358f5fa91d', NULL, 'succeeded', 'finished'),
	(63, '2026-11-28 20:18:50.398902+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'evaluating', 'rank 0: evaluating'),
	(64, '2026-11-28 20:18:51.518926+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rank ended', 'rank 0 on cpu-1: finished'),
	(65, '2026-11-28 20:18:51.520893+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', NULL, 'attempt ended', 'attempt 1 succeeded'),
	(66, '2026-11-28 20:18:51.54+00', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', '995df491-dfdc-4d79-8110-b0ad8c5e6d7d', NULL, 'succeeded', 'finished'),
	(67, '2026-11-28 20:18:51.55565+00', '87737417-ae22-4e09-b72b-3af3efc9a092', NULL, NULL, 'queued', 'its inputs are there'),
	(68, '2026-11-28 20:18:51.618498+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', NULL, 'assigned', 'attempt 1 assigned to cpu-0, cpu-1 (fence 5)'),
	(75, '2026-11-28 20:18:57.106324+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'data', 'rank 0: data'),
	(69, '2026-11-28 20:18:51.659597+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'dispatched', 'sent to cpu-0 as rank 0 of 2'),
	(70, '2026-11-28 20:18:51.698555+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'dispatched', 'sent to cpu-1 as rank 1 of 2'),
	(72, '2026-11-28 20:18:56.751524+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rendezvous', 'rank 0: rendezvous'),
	(74, '2026-11-28 20:18:56.9306+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rendezvous', 'rank 1: rendezvous'),
	(77, '2026-11-28 20:18:57.827122+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'attacking', 'rank 0: attacking'),
	(71, '2026-11-28 20:18:56.751419+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'started', 'rank 0: started'),
	(73, '2026-11-28 20:18:56.921037+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'started', 'rank 1: started'),
	(76, '2026-11-28 20:18:57.109683+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'data', 'rank 1: data'),
	(78, '2026-11-28 20:18:57.953619+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'attacking', 'rank 1: attacking'),
	(79, '2026-11-28 20:19:17.179359+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'exporting', 'rank 0: exporting'),
	(80, '2026-11-28 20:19:17.318159+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'rank ended', 'rank 1 on cpu-1: finished'),
	(81, '2026-11-28 20:20:15.801971+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', '01a223c1-bcc2-7535-8367-67b03df424c1', 'rank ended', 'rank 0 on cpu-0: finished'),
	(82, '2026-11-28 20:20:15.802943+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', NULL, 'attempt ended', 'attempt 1 succeeded'),
	(83, '2026-11-28 20:20:15.805129+00', '87737417-ae22-4e09-b72b-3af3efc9a092', '7608303c-ef35-4133-9bf0-7df0ad52bc48', NULL, 'succeeded', 'finished');

INSERT INTO public.experiment_jobs VALUES
	('f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'encoder', 'c266787a-9528-4c44-9a3b-2f7734233e67', 0, false, '2026-11-28 20:17:16.426389+00'),
	('f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'linear', 'da010ed3-f806-48d9-a8fa-c2a7bc07d57f', 1, false, '2026-11-28 20:17:16.426466+00'),
	('f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'baseline', '9bfd53a7-4be7-4101-8344-0ed1b4840c0c', 2, false, '2026-11-28 20:17:16.426472+00'),
	('f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'attack', 'd8c8a8bb-f672-4d08-bae1-0ae224270185', 3, false, '2026-11-28 20:17:16.426475+00'),
	('5be81cb8-24b5-4d6b-a851-4422376d4334', 'encoder', '0b720e7a-4c49-4596-b4b4-879122c3040d', 0, false, NULL),
	('5be81cb8-24b5-4d6b-a851-4422376d4334', 'linear', 'b0387319-d752-4897-a943-fc365854399c', 1, false, NULL),
	('5be81cb8-24b5-4d6b-a851-4422376d4334', 'baseline', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', 2, false, NULL),
	('5be81cb8-24b5-4d6b-a851-4422376d4334', 'attack', '87737417-ae22-4e09-b72b-3af3efc9a092', 3, false, NULL);

INSERT INTO public.experiments VALUES
	('f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'kept', 'root', 'name = "kept"
dataset = "shapes"
seed = 7
workers = "1..2"
shards = 2

[jobs.encoder]
stage = "contrastive"
checkpoint_steps = 5
encoder = "resnet-tiny"
epochs = 1
batch_size = 256
head = { hidden = 32, output = 16 }
optimizer = { name = "lars", lr = 1.0, weight_decay = 1e-6 }
tikhonov = { lambda = 0.1 }

[jobs.linear]
stage = "linear"
from = "encoder"
label_fraction = 0.1

[jobs.baseline]
stage = "supervised"
checkpoint_steps = 5
encoder = "resnet-tiny"
steps = 15
batch_size = 256

[jobs.attack]
stage = "attack"
from = "baseline"
attack = "plb"
norm = "l2"
images = 64
', 'kept.toml', false, 'b14bf163-2599-4815-bd58-3e1bc10caa40', '2026-11-28 20:14:21.670698+00'),
	('5be81cb8-24b5-4d6b-a851-4422376d4334', 'kept', 'root', 'name = "kept"
dataset = "folder:images"
seed = 7
workers = "1..2"
shards = 2

[jobs.encoder]
stage = "contrastive"
checkpoint_steps = 4
encoder = "resnet-tiny"
epochs = 4
batch_size = 32
head = { hidden = 32, output = 16 }
optimizer = { name = "lars", lr = 1.0, weight_decay = 1e-6 }
tikhonov = { lambda = 0.1 }

[jobs.linear]
stage = "linear"
from = "encoder"
label_fraction = 0.5

[jobs.baseline]
stage = "supervised"
checkpoint_steps = 4
encoder = "resnet-tiny"
steps = 12
batch_size = 32

[jobs.attack]
stage = "attack"
from = "baseline"
attack = "plb"
norm = "l2"
images = 32
', 'kept.toml', false, 'd47ceaee-6c5a-41ac-864f-02c5c85e7516', '2026-11-28 20:17:19.905727+00');

INSERT INTO public.job_dependencies VALUES
	('da010ed3-f806-48d9-a8fa-c2a7bc07d57f', 'c266787a-9528-4c44-9a3b-2f7734233e67', 0),
	('d8c8a8bb-f672-4d08-bae1-0ae224270185', '9bfd53a7-4be7-4101-8344-0ed1b4840c0c', 0),
	('b0387319-d752-4897-a943-fc365854399c', '0b720e7a-4c49-4596-b4b4-879122c3040d', 0),
	('87737417-ae22-4e09-b72b-3af3efc9a092', '92b21a27-eb5c-4e59-bfc2-9946815bf49c', 0);

INSERT INTO public.jobs VALUES
	('9bfd53a7-4be7-4101-8344-0ed1b4840c0c', 'f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'baseline', 'supervised', '{"name": "baseline", "seed": 7, "stage": {"stage": "supervised", "steps": 15, "epochs": 200, "augment": {"pad": 4, "flip": 0.5}, "encoder": "resnet-tiny", "tikhonov": {"h": 0.01, "lambda": 0.0, "method": "exact", "rescale": false, "direction": "l2"}, "optimizer": {"lr": 0.1, "name": "sgd", "trust": 0.001, "factor": 0.2, "momentum": 0.9, "nesterov": true, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "weight_decay": 0.0005, "warmup_epochs": 0.0}, "precision": "f32", "batch_norm": "shard", "batch_size": 256, "validation": 0.1, "label_fraction": 1.0, "checkpoint_steps": 5}, "inputs": [], "shards": 2, "dataset": "shapes", "threads": 1, "workers": {"max": 2, "min": 1}}', '2aa53b6b2191ffc291385058f7f6f4912a78d0a122868416b674c4fda2b7cf3f', 'cancelled', 'cancelled by request', 1, 2, 2, '2026-11-28 20:14:21.71316+00', '2026-11-28 20:14:21.71316+00', NULL, NULL, '2026-11-28 20:17:16.448598+00', 'supervised resnet-tiny', 501.98781952, 0, ''),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'encoder', 'contrastive', '{"name": "encoder", "seed": 7, "stage": {"head": {"hidden": 32, "output": 16}, "stage": "contrastive", "epochs": 1, "augment": {"hue": 0.1, "flip": 0.5, "gray": 0.2, "jitter": 0.8, "contrast": 0.4, "brightness": 0.4, "saturation": 0.4, "crop_area_min": 0.08}, "encoder": "resnet-tiny", "monitor": {"bank": 4096, "neighbours": 20, "every_epochs": 1}, "tikhonov": {"h": 0.01, "lambda": 0.1, "method": "exact", "rescale": false, "direction": "l2"}, "optimizer": {"lr": 1.0, "name": "lars", "trust": 0.001, "factor": 0.2, "momentum": 0.9, "nesterov": false, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "weight_decay": 0.000001, "warmup_epochs": 10.0}, "precision": "f32", "recompute": "none", "self_term": false, "batch_norm": "shard", "batch_size": 256, "temperature": 0.5, "checkpoint_steps": 5}, "inputs": [], "shards": 2, "dataset": "shapes", "threads": 1, "workers": {"max": 2, "min": 1}}', '00f4501d77d6452aed6453735752876bb5f3a1b5b0d8fbecd7d6f624feb079ad', 'cancelled', 'cancelled by request', 1, 2, 2, '2026-11-28 20:14:21.701343+00', '2026-11-28 20:14:21.701343+00', NULL, '2026-11-28 20:14:22.084946+00', '2026-11-28 20:17:16.568198+00', 'contrastive resnet-tiny exact', 5333.506326528, 0, ''),
	('d8c8a8bb-f672-4d08-bae1-0ae224270185', 'f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'attack', 'attack', '{"name": "attack", "seed": 7, "stage": {"plb": {"dt": 0.1, "mu": 1.0, "beta": 0.75, "alpha": 0.1, "gamma": 0.05, "inner": 30, "outer": 30, "steps": "relative", "early_stop": true}, "loss": "cross-entropy", "norm": "l2", "radii": [], "stage": "attack", "attack": "plb", "images": 64, "preset": "reference", "pictures": 8, "restarts": 1, "batch_size": 250}, "inputs": ["baseline"], "shards": 2, "dataset": "shapes", "threads": 1, "workers": {"max": 2, "min": 1}}', 'c249f25c9c90bc40cf3c9944e1bca3aca04a939366e157a5d8639edd73968e64', 'cancelled', 'cancelled by request', 1, 2, 2, '2026-11-28 20:14:21.738578+00', NULL, NULL, NULL, '2026-11-28 20:17:16.578272+00', 'attack resnet-tiny plb l2', 615.70617360384, 0, ''),
	('da010ed3-f806-48d9-a8fa-c2a7bc07d57f', 'f7eb7769-cdb8-4ee6-b326-07b7c3cf9d9d', 'linear', 'linear', '{"name": "linear", "seed": 7, "stage": {"stage": "linear", "epochs": 100, "solver": "lbfgs", "optimizer": {"lr": 0.2, "name": "sgd", "trust": 0.001, "factor": 0.2, "momentum": 0.9, "nesterov": true, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "weight_decay": 0.0, "warmup_epochs": 0.0}, "batch_size": 512, "crop_area_min": 0.08, "label_fraction": 0.1}, "inputs": ["encoder"], "shards": 1, "dataset": "shapes", "threads": 1, "workers": {"max": 1, "min": 1}}', 'aa6dad74079652a8c20624dc3ef3239d071ebabecc5803855ff2520c49c68fba', 'cancelled', 'cancelled by request', 1, 1, 1, '2026-11-28 20:14:21.723858+00', NULL, NULL, NULL, '2026-11-28 20:17:16.614776+00', 'linear resnet-tiny lbfgs', 148.563264, 0, ''),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', '5be81cb8-24b5-4d6b-a851-4422376d4334', 'encoder', 'contrastive', '{"name": "encoder", "seed": 7, "stage": {"head": {"hidden": 32, "output": 16}, "stage": "contrastive", "epochs": 4, "augment": {"hue": 0.1, "flip": 0.5, "gray": 0.2, "jitter": 0.8, "contrast": 0.4, "brightness": 0.4, "saturation": 0.4, "crop_area_min": 0.08}, "encoder": "resnet-tiny", "monitor": {"bank": 4096, "neighbours": 20, "every_epochs": 1}, "tikhonov": {"h": 0.01, "lambda": 0.1, "method": "exact", "rescale": false, "direction": "l2"}, "optimizer": {"lr": 1.0, "name": "lars", "trust": 0.001, "factor": 0.2, "momentum": 0.9, "nesterov": false, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "weight_decay": 0.000001, "warmup_epochs": 10.0}, "precision": "f32", "recompute": "none", "self_term": false, "batch_norm": "shard", "batch_size": 32, "temperature": 0.5, "checkpoint_steps": 4}, "inputs": [], "shards": 2, "dataset": "folder:images", "threads": 1, "workers": {"max": 2, "min": 1}}', 'afac29683435fb83b4503adb079e0ccd165bea92ea279cd46bcc4ff7db77fb10', 'succeeded', '', 1, 2, 2, '2026-11-28 20:17:19.932118+00', '2026-11-28 20:17:19.932118+00', NULL, '2026-11-28 20:17:20.085352+00', '2026-11-28 20:18:26.276741+00', 'contrastive resnet-tiny exact', 0, 0, ''),
	('b0387319-d752-4897-a943-fc365854399c', '5be81cb8-24b5-4d6b-a851-4422376d4334', 'linear', 'linear', '{"name": "linear", "seed": 7, "stage": {"stage": "linear", "epochs": 100, "solver": "lbfgs", "optimizer": {"lr": 0.2, "name": "sgd", "trust": 0.001, "factor": 0.2, "momentum": 0.9, "nesterov": true, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "weight_decay": 0.0, "warmup_epochs": 0.0}, "batch_size": 512, "crop_area_min": 0.08, "label_fraction": 0.5}, "inputs": ["encoder"], "shards": 1, "dataset": "folder:images", "threads": 1, "workers": {"max": 1, "min": 1}}', '0b08efd286f2f614957c5493a165a47358fbadca6c86268b35878c38b2d9a97c', 'succeeded', '', 1, 1, 1, '2026-11-28 20:17:19.920515+00', '2026-11-28 20:18:26.340059+00', NULL, '2026-11-28 20:18:26.38882+00', '2026-11-28 20:18:48.974459+00', 'linear resnet-tiny lbfgs', 0, 0, ''),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', '5be81cb8-24b5-4d6b-a851-4422376d4334', 'baseline', 'supervised', '{"name": "baseline", "seed": 7, "stage": {"stage": "supervised", "steps": 12, "epochs": 200, "augment": {"pad": 4, "flip": 0.5}, "encoder": "resnet-tiny", "tikhonov": {"h": 0.01, "lambda": 0.0, "method": "exact", "rescale": false, "direction": "l2"}, "optimizer": {"lr": 0.1, "name": "sgd", "trust": 0.001, "factor": 0.2, "momentum": 0.9, "nesterov": true, "schedule": "cosine", "milestones": [0.3, 0.6, 0.8], "weight_decay": 0.0005, "warmup_epochs": 0.0}, "precision": "f32", "batch_norm": "shard", "batch_size": 32, "validation": 0.1, "label_fraction": 1.0, "checkpoint_steps": 4}, "inputs": [], "shards": 2, "dataset": "folder:images", "threads": 1, "workers": {"max": 2, "min": 1}}', 'de76100ef0de58d6e30aa8ef9ead6313d7e6189b9f69fc2c956c428036e6b543', 'succeeded', '', 1, 2, 2, '2026-11-28 20:17:19.939217+00', '2026-11-28 20:17:19.939217+00', NULL, '2026-11-28 20:18:25.715851+00', '2026-11-28 20:18:51.539559+00', 'supervised resnet-tiny', 0, 0, ''),
	('87737417-ae22-4e09-b72b-3af3efc9a092', '5be81cb8-24b5-4d6b-a851-4422376d4334', 'attack', 'attack', '{"name": "attack", "seed": 7, "stage": {"plb": {"dt": 0.1, "mu": 1.0, "beta": 0.75, "alpha": 0.1, "gamma": 0.05, "inner": 30, "outer": 30, "steps": "relative", "early_stop": true}, "loss": "cross-entropy", "norm": "l2", "radii": [], "stage": "attack", "attack": "plb", "images": 32, "preset": "reference", "pictures": 8, "restarts": 1, "batch_size": 250}, "inputs": ["baseline"], "shards": 2, "dataset": "folder:images", "threads": 1, "workers": {"max": 2, "min": 1}}', '0b825dfb042f2072683912a8a502c35f6cc9402b21319e4d1e22cd99f0e018a7', 'succeeded', '', 1, 2, 2, '2026-11-28 20:17:19.931+00', '2026-11-28 20:18:51.555245+00', NULL, '2026-11-28 20:18:51.612599+00', '2026-11-28 20:20:15.804689+00', 'attack resnet-tiny plb l2', 0, 0, '');

INSERT INTO public.leader VALUES
	(true, '172726d2-bdba-4e05-8823-d6612f2245bb', 'vm:22568', 1, '2026-11-28 20:57:04.928316+00');

INSERT INTO public.leases VALUES
	('cf3446aa-429b-4781-b7cc-fd2469cd5273', 0, '01a223c1-bcc2-7535-8367-67b03df424c1', 2, '2026-11-28 20:18:34.510781+00', '2026-11-28 20:17:20.11518+00', 125, '2026-11-28 20:18:26.220628+00', 'succeeded', '', '01a223c1-bcc2-7535-8367-67b03df424c1', '2026-11-28 20:18:22.944417+00', 2492),
	('f5067d00-57c5-432c-ba38-1b5c34cd486e', 1, '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 1, '2026-11-28 20:17:24.061502+00', '2026-11-28 20:14:22.343845+00', 4, '2026-11-28 20:17:16.93782+00', 'cancelled', 'attempt 1 cancelled: cancelled by request', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', '2026-11-28 20:17:13.078502+00', 28972),
	('f5067d00-57c5-432c-ba38-1b5c34cd486e', 0, '01a223c1-bcc2-7535-8367-67b03df424c1', 1, '2026-11-28 20:17:24.108903+00', '2026-11-28 20:14:22.245336+00', 19, '2026-11-28 20:17:16.991498+00', 'cancelled', 'attempt 1 cancelled: cancelled by request', '01a223c1-bcc2-7535-8367-67b03df424c1', '2026-11-28 20:17:15.154905+00', 25736),
	('0833be92-9e71-49ab-8a99-e2358f5fa91d', 0, '01a223c1-bcc2-7535-8367-67b03df424c1', 4, '2026-11-28 20:18:57.306503+00', '2026-11-28 20:18:26.477583+00', 134, '2026-11-28 20:18:48.934796+00', 'succeeded', '', '01a223c1-bcc2-7535-8367-67b03df424c1', '2026-11-28 20:18:47.054584+00', 1052),
	('7608303c-ef35-4133-9bf0-7df0ad52bc48', 0, '01a223c1-bcc2-7535-8367-67b03df424c1', 5, '2026-11-28 20:20:24.295106+00', '2026-11-28 20:18:51.642997+00', 30, '2026-11-28 20:20:15.801406+00', 'succeeded', '', '01a223c1-bcc2-7535-8367-67b03df424c1', '2026-11-28 20:20:13.728935+00', 625),
	('cf3446aa-429b-4781-b7cc-fd2469cd5273', 1, '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 2, '2026-11-28 20:18:34.131625+00', '2026-11-28 20:17:20.176868+00', 5, '2026-11-28 20:18:25.683638+00', 'succeeded', '', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', '2026-11-28 20:18:24.410947+00', 2435),
	('7608303c-ef35-4133-9bf0-7df0ad52bc48', 1, '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 5, '2026-11-28 20:19:23.882586+00', '2026-11-28 20:18:51.684477+00', 4, '2026-11-28 20:19:17.317647+00', 'succeeded', '', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', '2026-11-28 20:19:14.084586+00', NULL),
	('995df491-dfdc-4d79-8110-b0ad8c5e6d7d', 0, '01a223c1-be1d-73f4-be3d-6fa008b42ff3', 3, '2026-11-28 20:18:59.970199+00', '2026-11-28 20:18:25.748772+00', 73, '2026-11-28 20:18:51.51862+00', 'succeeded', '', '01a223c1-be1d-73f4-be3d-6fa008b42ff3', '2026-11-28 20:18:50.116655+00', 1064);

INSERT INTO public.metrics VALUES
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'loss', 1, 6.0732221603393555, 1, '2026-11-28 20:15:36.473208+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'lr', 1, 0.02564102564102564, 1, '2026-11-28 20:15:36.529384+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'penalty', 1, 0.023157630115747452, 1, '2026-11-28 20:15:36.529539+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'penalty_share', 1, 0.0037985871798874105, 1, '2026-11-28 20:15:36.529587+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'loss', 2, 6.116352081298828, 1, '2026-11-28 20:16:24.202406+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'lr', 2, 0.05128205128205128, 1, '2026-11-28 20:16:24.202554+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'penalty', 2, 0.02192592341452837, 1, '2026-11-28 20:16:24.202596+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'penalty_share', 2, 0.0035719990847094684, 1, '2026-11-28 20:16:24.20263+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'loss', 3, 6.114128589630127, 1, '2026-11-28 20:17:08.494364+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'lr', 3, 0.07692307692307693, 1, '2026-11-28 20:17:08.494502+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'penalty', 3, 0.021929586306214333, 1, '2026-11-28 20:17:08.494551+00'),
	('c266787a-9528-4c44-9a3b-2f7734233e67', 'penalty_share', 3, 0.0035738882646541978, 1, '2026-11-28 20:17:08.494596+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 1, 4.104889869689941, 2, '2026-11-28 20:17:32.254298+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 1, 0.0625, 2, '2026-11-28 20:17:32.254432+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 1, 0.1966649889945984, 2, '2026-11-28 20:17:32.254474+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 1, 0.04571951200332723, 2, '2026-11-28 20:17:32.25451+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 2, 4.238908767700195, 2, '2026-11-28 20:17:36.320614+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 2, 0.125, 2, '2026-11-28 20:17:36.346317+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 2, 0.2066587284207344, 2, '2026-11-28 20:17:36.346417+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 2, 0.0464864673860106, 2, '2026-11-28 20:17:36.34649+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 3, 4.123941898345947, 2, '2026-11-28 20:17:39.266338+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 3, 0.1875, 2, '2026-11-28 20:17:39.28185+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 3, 0.14981497824192047, 2, '2026-11-28 20:17:39.282099+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 3, 0.035054632860054384, 2, '2026-11-28 20:17:39.28225+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 4, 4.051180839538574, 2, '2026-11-28 20:17:43.375445+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 4, 0.25, 2, '2026-11-28 20:17:43.38444+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 4, 0.08338756859302521, 2, '2026-11-28 20:17:43.384536+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 4, 0.020168385273061144, 2, '2026-11-28 20:17:43.384567+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'epoch_loss', 4, 4.1297303438186646, 2, '2026-11-28 20:17:43.384621+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'images_per_second', 4, 7.449701676769104, 2, '2026-11-28 20:17:43.384644+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'contrastive_accuracy', 4, 0.015625, 2, '2026-11-28 20:17:43.384683+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'alignment', 4, 0.7974990606307983, 2, '2026-11-28 20:17:43.384719+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'uniformity', 4, -1.4363393783569336, 2, '2026-11-28 20:17:43.384756+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'std', 4, 0.6886489987373352, 2, '2026-11-28 20:17:43.38478+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'knn_accuracy', 4, 0.3076923191547394, 2, '2026-11-28 20:17:44.98864+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 5, 3.947986602783203, 2, '2026-11-28 20:17:47.95014+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 5, 0.3125, 2, '2026-11-28 20:17:47.966385+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 5, 0.06874686293303967, 2, '2026-11-28 20:17:47.966492+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 5, 0.01711511692767523, 2, '2026-11-28 20:17:47.966526+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 6, 3.990088939666748, 2, '2026-11-28 20:17:50.72791+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 6, 0.375, 2, '2026-11-28 20:17:50.74304+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 6, 0.03211198188364506, 2, '2026-11-28 20:17:50.743179+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 6, 0.007983684184346317, 2, '2026-11-28 20:17:50.743235+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 7, 4.133848190307617, 2, '2026-11-28 20:17:53.252339+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 7, 0.4375, 2, '2026-11-28 20:17:53.252577+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 7, 0.0307842418551445, 2, '2026-11-28 20:17:53.25272+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 7, 0.0073918268554513805, 2, '2026-11-28 20:17:53.252856+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 8, 4.091339111328125, 2, '2026-11-28 20:17:55.850346+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 8, 0.5, 2, '2026-11-28 20:17:55.850474+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 8, 0.01785836461931467, 2, '2026-11-28 20:17:55.850534+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 8, 0.004345949476472202, 2, '2026-11-28 20:17:55.850592+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'epoch_loss', 8, 4.040815711021423, 2, '2026-11-28 20:17:55.850689+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'images_per_second', 8, 11.806128125611451, 2, '2026-11-28 20:17:55.850728+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'contrastive_accuracy', 8, 0.078125, 2, '2026-11-28 20:17:55.850774+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'alignment', 8, 0.558735191822052, 2, '2026-11-28 20:17:55.850814+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'uniformity', 8, -1.1182191371917725, 2, '2026-11-28 20:17:55.850862+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'std', 8, 0.5570148825645447, 2, '2026-11-28 20:17:55.850902+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'knn_accuracy', 8, 0.3076923191547394, 2, '2026-11-28 20:17:57.548156+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 9, 3.9937620162963863, 2, '2026-11-28 20:18:00.666245+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 9, 0.5625, 2, '2026-11-28 20:18:00.666333+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 9, 0.011307192966341972, 2, '2026-11-28 20:18:00.666356+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 9, 0.0028232203678756032, 2, '2026-11-28 20:18:00.666395+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 10, 4.053554534912109, 2, '2026-11-28 20:18:03.878004+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 10, 0.625, 2, '2026-11-28 20:18:03.878284+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 10, 0.008365410845726728, 2, '2026-11-28 20:18:03.878418+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 10, 0.002059472111079724, 2, '2026-11-28 20:18:03.878553+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 11, 4.052422523498535, 2, '2026-11-28 20:18:07.109938+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 11, 0.6875, 2, '2026-11-28 20:18:07.110249+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 11, 0.005436473758891225, 2, '2026-11-28 20:18:07.110499+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 11, 0.0013397394445113936, 2, '2026-11-28 20:18:07.11065+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 12, 3.980133295059204, 2, '2026-11-28 20:18:10.398745+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 12, 0.75, 2, '2026-11-28 20:18:10.400745+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 12, 0.003591701854020357, 2, '2026-11-28 20:18:10.400869+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 12, 0.0009015938240725388, 2, '2026-11-28 20:18:10.400945+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'epoch_loss', 12, 4.019968092441559, 2, '2026-11-28 20:18:10.401089+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'images_per_second', 12, 9.967061718762965, 2, '2026-11-28 20:18:10.401139+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'contrastive_accuracy', 12, 0.03125, 2, '2026-11-28 20:18:10.401211+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'alignment', 12, 0.3088327944278717, 2, '2026-11-28 20:18:10.401285+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'uniformity', 12, -0.8273651003837585, 2, '2026-11-28 20:18:10.401328+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'std', 12, 0.48739615082740784, 2, '2026-11-28 20:18:10.401367+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'knn_accuracy', 12, 0.3076923191547394, 2, '2026-11-28 20:18:11.679465+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 13, 3.965395927429199, 2, '2026-11-28 20:18:15.164986+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 13, 0.8125, 2, '2026-11-28 20:18:15.165125+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 13, 0.00313676823861897, 2, '2026-11-28 20:18:15.165185+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 13, 0.0007904100782748168, 2, '2026-11-28 20:18:15.165225+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 14, 3.8876192569732666, 2, '2026-11-28 20:18:18.878323+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 14, 0.875, 2, '2026-11-28 20:18:18.894309+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 14, 0.0032424756791442633, 2, '2026-11-28 20:18:18.894403+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 14, 0.0008333566962642641, 2, '2026-11-28 20:18:18.894442+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 15, 3.818894386291504, 2, '2026-11-28 20:18:21.640691+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 15, 0.9375, 2, '2026-11-28 20:18:21.64084+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 15, 0.0033787875436246395, 2, '2026-11-28 20:18:21.640881+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 15, 0.0008839733294715009, 2, '2026-11-28 20:18:21.64092+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 16, 3.8498010635375977, 2, '2026-11-28 20:18:24.390438+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'lr', 16, 1, 2, '2026-11-28 20:18:24.407039+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty', 16, 0.004937678691931069, 2, '2026-11-28 20:18:24.40719+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'penalty_share', 16, 0.0012809373143340922, 2, '2026-11-28 20:18:24.407253+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'epoch_loss', 16, 3.880427658557892, 2, '2026-11-28 20:18:24.407466+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'images_per_second', 16, 10.071762350908712, 2, '2026-11-28 20:18:24.407528+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'contrastive_accuracy', 16, 0.046875, 2, '2026-11-28 20:18:24.407584+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'alignment', 16, 0.404246062040329, 2, '2026-11-28 20:18:24.40765+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'uniformity', 16, -1.0609089136123655, 2, '2026-11-28 20:18:24.407701+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'std', 16, 0.6170376539230347, 2, '2026-11-28 20:18:24.407768+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 2, 1.4578264951705933, 3, '2026-11-28 20:18:35.200564+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 2, 0.09829629131445342, 3, '2026-11-28 20:18:35.200665+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 1, 1.2658498090759078, 4, '2026-11-28 20:18:48.022298+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 2, 1.143401401525571, 4, '2026-11-28 20:18:48.066668+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 3, 0.971892608327662, 4, '2026-11-28 20:18:48.066783+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 4, 0.884415611707966, 4, '2026-11-28 20:18:48.0669+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 5, 0.8403026753862216, 4, '2026-11-28 20:18:48.066986+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 6, 0.7609314931159593, 4, '2026-11-28 20:18:48.067071+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 7, 0.7452715086567402, 4, '2026-11-28 20:18:48.067149+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 8, 0.7242085415933256, 4, '2026-11-28 20:18:48.067212+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 9, 0.7013043618952299, 4, '2026-11-28 20:18:48.067298+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 10, 0.6945431140889454, 4, '2026-11-28 20:18:48.067371+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 11, 0.6761532118265053, 4, '2026-11-28 20:18:48.067444+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 12, 0.6735026892479634, 4, '2026-11-28 20:18:48.106333+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 13, 0.6718284943377706, 4, '2026-11-28 20:18:48.122275+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 14, 0.6699932151116608, 4, '2026-11-28 20:18:48.122414+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 15, 0.6678047213137346, 4, '2026-11-28 20:18:48.122543+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 16, 0.667315000230088, 4, '2026-11-28 20:18:48.122627+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 17, 0.666780796358326, 4, '2026-11-28 20:18:48.162418+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 18, 0.6665566015388118, 4, '2026-11-28 20:18:48.162617+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 19, 0.666240238763683, 4, '2026-11-28 20:18:48.162698+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 20, 0.6660953491044198, 4, '2026-11-28 20:18:48.162767+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 21, 0.6658920740045114, 4, '2026-11-28 20:18:48.16283+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 22, 0.6658609345465114, 4, '2026-11-28 20:18:48.162944+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 23, 0.6658034168993445, 4, '2026-11-28 20:18:48.163021+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 24, 0.6657553285909571, 4, '2026-11-28 20:18:48.163096+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 25, 0.6657528785326127, 4, '2026-11-28 20:18:48.262365+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 26, 0.6657290581621789, 4, '2026-11-28 20:18:48.262568+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 27, 0.6657241081904299, 4, '2026-11-28 20:18:48.262661+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 28, 0.6657116198490751, 4, '2026-11-28 20:18:48.262751+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 29, 0.6657058140681632, 4, '2026-11-28 20:18:48.262862+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 30, 0.6657021487267745, 4, '2026-11-28 20:18:48.262976+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 31, 0.6657010037296355, 4, '2026-11-28 20:18:48.305233+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 32, 0.6656999894949126, 4, '2026-11-28 20:18:48.305772+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 33, 0.665698892602633, 4, '2026-11-28 20:18:48.306451+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 34, 0.6656979950345282, 4, '2026-11-28 20:18:48.306569+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 35, 0.6656976328614305, 4, '2026-11-28 20:18:48.306657+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 36, 0.6656972697759324, 4, '2026-11-28 20:18:48.358955+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 37, 0.6656969163172141, 4, '2026-11-28 20:18:48.360359+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 38, 0.6656964175482323, 4, '2026-11-28 20:18:48.386561+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 39, 0.6656964153486041, 4, '2026-11-28 20:18:48.386696+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 40, 0.6656961894960305, 4, '2026-11-28 20:18:48.38678+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 41, 0.6656961517752522, 4, '2026-11-28 20:18:48.386904+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 42, 0.6656960913939047, 4, '2026-11-28 20:18:48.386993+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 43, 0.6656960322103899, 4, '2026-11-28 20:18:48.431173+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 44, 0.6656959893873821, 4, '2026-11-28 20:18:48.446335+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 45, 0.6656959714931674, 4, '2026-11-28 20:18:48.459616+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 46, 0.6656959648376612, 4, '2026-11-28 20:18:48.467887+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 47, 0.6656959607098313, 4, '2026-11-28 20:18:48.494566+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 48, 0.6656959516669976, 4, '2026-11-28 20:18:48.494734+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 49, 0.66569594859916, 4, '2026-11-28 20:18:48.494811+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 50, 0.6656959464980448, 4, '2026-11-28 20:18:48.494943+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 51, 0.6656959429914502, 4, '2026-11-28 20:18:48.495053+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 52, 0.6656959416388755, 4, '2026-11-28 20:18:48.582427+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 53, 0.665695940360816, 4, '2026-11-28 20:18:48.582668+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 54, 0.6656959400340476, 4, '2026-11-28 20:18:48.582777+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 55, 0.665695939738175, 4, '2026-11-28 20:18:48.582892+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 56, 0.6656959394807462, 4, '2026-11-28 20:18:48.582983+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 57, 0.6656959393594184, 4, '2026-11-28 20:18:48.583076+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 58, 0.6656959392654133, 4, '2026-11-28 20:18:48.606378+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 59, 0.6656959392341953, 4, '2026-11-28 20:18:48.606594+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'knn_accuracy', 16, 0.2307692319154739, 2, '2026-11-28 20:18:25.621156+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 3, 1.4711865186691284, 3, '2026-11-28 20:18:36.770305+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 3, 0.09330127018922196, 3, '2026-11-28 20:18:36.770426+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'epoch_loss', 3, 1.4483065605163574, 3, '2026-11-28 20:18:36.798985+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'train_batch_accuracy', 3, 0.2604166666666667, 3, '2026-11-28 20:18:36.799038+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'images_per_second', 3, 17.016516074517195, 3, '2026-11-28 20:18:36.799077+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'validation_accuracy', 3, 0.25, 3, '2026-11-28 20:18:37.008816+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 5, 1.5178914070129397, 3, '2026-11-28 20:18:40.646352+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 5, 0.07500000000000001, 3, '2026-11-28 20:18:40.646458+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 9, 0.8660244941711426, 3, '2026-11-28 20:18:45.834938+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 9, 0.025000000000000012, 3, '2026-11-28 20:18:45.838164+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'epoch_loss', 9, 1.0302393833796184, 3, '2026-11-28 20:18:45.838563+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'train_batch_accuracy', 9, 0.59375, 3, '2026-11-28 20:18:45.838697+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'images_per_second', 9, 26.25646940123952, 3, '2026-11-28 20:18:45.838829+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'validation_accuracy', 9, 0.5, 3, '2026-11-28 20:18:45.926329+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 10, 0.8338420391082764, 3, '2026-11-28 20:18:47.562371+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 10, 0.014644660940672629, 3, '2026-11-28 20:18:47.598322+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 12, 0.7958095073699951, 3, '2026-11-28 20:18:50.097194+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 12, 0.00170370868554659, 3, '2026-11-28 20:18:50.114366+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'epoch_loss', 12, 0.8244092663129171, 3, '2026-11-28 20:18:50.114772+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'train_batch_accuracy', 12, 0.6770833333333334, 3, '2026-11-28 20:18:50.114932+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'images_per_second', 12, 23.178092100375505, 3, '2026-11-28 20:18:50.115068+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'validation_accuracy', 12, 0.5833333333333334, 3, '2026-11-28 20:18:50.244976+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 1, 1.4159066677093506, 3, '2026-11-28 20:18:33.916645+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 1, 0.1, 3, '2026-11-28 20:18:33.916849+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 4, 1.3880287408828735, 3, '2026-11-28 20:18:39.01846+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 4, 0.08535533905932738, 3, '2026-11-28 20:18:39.018652+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 6, 1.2694664001464844, 3, '2026-11-28 20:18:42.042342+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 6, 0.06294095225512604, 3, '2026-11-28 20:18:42.042446+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'epoch_loss', 6, 1.3917955160140991, 3, '2026-11-28 20:18:42.042717+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'train_batch_accuracy', 6, 0.3541666666666667, 3, '2026-11-28 20:18:42.042784+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'images_per_second', 6, 19.051931323749244, 3, '2026-11-28 20:18:42.042823+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'validation_accuracy', 6, 0.25, 3, '2026-11-28 20:18:42.192924+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 7, 1.162925362586975, 3, '2026-11-28 20:18:43.711775+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 7, 0.05, 3, '2026-11-28 20:18:43.711857+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 8, 1.0617682933807373, 3, '2026-11-28 20:18:44.602317+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 8, 0.03705904774487396, 3, '2026-11-28 20:18:44.602433+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 11, 0.8435762524604797, 3, '2026-11-28 20:18:48.91837+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'lr', 11, 0.006698729810778065, 3, '2026-11-28 20:18:48.918535+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'broken', 32, 1, 5, '2026-11-28 20:19:17.179142+00');

INSERT INTO public.progress VALUES
	('c266787a-9528-4c44-9a3b-2f7734233e67', 1, '', 3, 39, 1, 1, 0, 0, '2026-11-28 20:17:09.542959+00'),
	('b0387319-d752-4897-a943-fc365854399c', 4, '', 59, 100, 59, 100, 0, 0, '2026-11-28 20:18:48.65792+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 3, '', 12, 12, 4, 4, 0, 0, '2026-11-28 20:18:50.462093+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 5, '', 32, 32, 0, 1, 0, 0, '2026-11-28 20:19:17.202405+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 2, '', 16, 16, 4, 4, 0, 0, '2026-11-28 20:18:25.774352+00');

INSERT INTO public.results VALUES
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'loss', 3.880427658557892, 2, '2026-11-28 20:18:25.83861+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'knn_accuracy', 0.2307692319154739, 2, '2026-11-28 20:18:25.838656+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'images_per_second', 8.596552445638913, 2, '2026-11-28 20:18:25.838686+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'checkpoint_stall_seconds', 0.001430861, 2, '2026-11-28 20:18:25.838711+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'seconds', 59.558759542, 2, '2026-11-28 20:18:25.838738+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'steps', 16, 2, '2026-11-28 20:18:25.838764+00'),
	('0b720e7a-4c49-4596-b4b4-879122c3040d', 'peak_memory_bytes', 282959872, 2, '2026-11-28 20:18:25.838799+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'linear_accuracy', 0.5, 4, '2026-11-28 20:18:48.731092+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'test_accuracy', 0.5, 4, '2026-11-28 20:18:48.731164+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'train_accuracy', 0.9375, 4, '2026-11-28 20:18:48.731224+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'loss', 0.6656959392341953, 4, '2026-11-28 20:18:48.731264+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'labels', 64, 4, '2026-11-28 20:18:48.731297+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'ridge', 0.1, 4, '2026-11-28 20:18:48.731324+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'iterations', 59, 4, '2026-11-28 20:18:48.731359+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'seconds', 17.573476641, 4, '2026-11-28 20:18:48.731388+00'),
	('b0387319-d752-4897-a943-fc365854399c', 'peak_memory_bytes', 173953024, 4, '2026-11-28 20:18:48.731425+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'validation_accuracy', 0.5833333333333334, 3, '2026-11-28 20:18:51.329406+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'test_accuracy', 0.5625, 3, '2026-11-28 20:18:51.402978+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'best_accuracy', 0.5625, 3, '2026-11-28 20:18:51.403099+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'last_accuracy', 0.5625, 3, '2026-11-28 20:18:51.403139+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'best_epoch', 4, 3, '2026-11-28 20:18:51.40317+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'kept_epoch', 4, 3, '2026-11-28 20:18:51.403203+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'loss', 0.8244092663129171, 3, '2026-11-28 20:18:51.403239+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'labels', 128, 3, '2026-11-28 20:18:51.403274+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'steps', 12, 3, '2026-11-28 20:18:51.403308+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'images_per_second', 19.96450419399354, 3, '2026-11-28 20:18:51.403335+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'checkpoint_stall_seconds', 0.001552931, 3, '2026-11-28 20:18:51.403357+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'seconds', 19.234136559, 3, '2026-11-28 20:18:51.403417+00'),
	('92b21a27-eb5c-4e59-bfc2-9946815bf49c', 'peak_memory_bytes', 199036928, 3, '2026-11-28 20:18:51.403455+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'clean_error', 0.4375, 5, '2026-11-28 20:19:17.17941+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'median_distance', 0.8402249813079834, 5, '2026-11-28 20:19:17.17945+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'median_distance_all', 0.2775449678301811, 5, '2026-11-28 20:19:17.179484+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'misclassified_at_0.25', 0.5, 5, '2026-11-28 20:19:17.179518+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'misclassified_at_0.5', 0.625, 5, '2026-11-28 20:19:17.179558+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'misclassified_at_0.75', 0.65625, 5, '2026-11-28 20:19:17.179595+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'misclassified_at_1', 0.8125, 5, '2026-11-28 20:19:17.179626+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'attacked', 32, 5, '2026-11-28 20:19:17.179663+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'failed', 0, 5, '2026-11-28 20:19:17.179701+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'seconds', 19.887495425, 5, '2026-11-28 20:19:17.179728+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_zero_gradient', 0, 5, '2026-11-28 20:20:15.698369+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_large_radius', 1, 5, '2026-11-28 20:20:15.698493+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_more_steps', 0, 5, '2026-11-28 20:20:15.69854+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_more_restarts', 0, 5, '2026-11-28 20:20:15.698573+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_square_alone', 0, 5, '2026-11-28 20:20:15.698596+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_noise', 0, 5, '2026-11-28 20:20:15.698618+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_batch_alone', 0, 5, '2026-11-28 20:20:15.698653+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'gate_zero_distance', 0, 5, '2026-11-28 20:20:15.698688+00'),
	('87737417-ae22-4e09-b72b-3af3efc9a092', 'peak_memory_bytes', 202825728, 5, '2026-11-28 20:20:15.768349+00');

INSERT INTO public.workers VALUES
	('01a223c1-bcc2-7535-8367-67b03df424c1', 'cpu-0', 'vm', 'cpu', 0, 'AMD EPYC', '', 25276059648, 2, '', '0.1.0', 'ready', '1b1193f2-cf57-40c7-9b7c-d7a5fbb165eb', NULL, '2026-11-28 20:03:49.195207+00', '2026-11-28 20:56:57.803246+00', NULL, ''),
	('01a223c1-be1d-73f4-be3d-6fa008b42ff3', 'cpu-1', 'vm', 'cpu', 0, 'AMD EPYC', '', 25276059648, 2, '', '0.1.0', 'ready', '1e6a3887-a0d0-4008-a417-73940a45bfec', NULL, '2026-11-28 20:03:49.464537+00', '2026-11-28 20:56:58.398291+00', NULL, '');

SELECT pg_catalog.setval('public.events_id_seq', 83, true);

SELECT pg_catalog.setval('public.fence', 5, true);

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_job_id_kind_name_key UNIQUE (job_id, kind, name);

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_fence_key UNIQUE (fence);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_id_fence_key UNIQUE (id, fence);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_job_id_number_key UNIQUE (job_id, number);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (job_id, step);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.experiment_jobs
    ADD CONSTRAINT experiment_jobs_pkey PRIMARY KEY (experiment_id, name);

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_idempotency_key_key UNIQUE (idempotency_key);

ALTER TABLE ONLY public.experiments
    ADD CONSTRAINT experiments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.job_dependencies
    ADD CONSTRAINT job_dependencies_pkey PRIMARY KEY (job_id, depends_on);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.leader
    ADD CONSTRAINT leader_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (attempt_id, rank);

ALTER TABLE ONLY public.logs
    ADD CONSTRAINT logs_pkey PRIMARY KEY (attempt_id, rank, sequence);

ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT metrics_pkey PRIMARY KEY (job_id, name, step);

ALTER TABLE ONLY public.progress
    ADD CONSTRAINT progress_pkey PRIMARY KEY (job_id);

ALTER TABLE ONLY public.results
    ADD CONSTRAINT results_pkey PRIMARY KEY (job_id, name);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);

CREATE INDEX artifacts_by_prefix ON public.artifacts USING btree (((id)::text) text_pattern_ops);

CREATE UNIQUE INDEX attempts_one_live_per_job ON public.attempts USING btree (job_id) WHERE (state = ANY (ARRAY['assigned'::public.attempt_state, 'starting'::public.attempt_state, 'training'::public.attempt_state]));

CREATE INDEX events_by_job ON public.events USING btree (job_id, id);

CREATE INDEX experiment_jobs_by_job ON public.experiment_jobs USING btree (job_id);

CREATE INDEX experiments_by_age ON public.experiments USING btree (created_at DESC);

CREATE INDEX experiments_by_name ON public.experiments USING btree (name, created_at DESC);

CREATE INDEX experiments_by_prefix ON public.experiments USING btree (((id)::text) text_pattern_ops);

CREATE INDEX job_dependencies_by_input ON public.job_dependencies USING btree (depends_on);

CREATE INDEX jobs_blocked ON public.jobs USING btree (id) WHERE (state = 'blocked'::public.job_state);

CREATE INDEX jobs_by_end ON public.jobs USING btree (finished_at DESC) WHERE (finished_at IS NOT NULL);

CREATE INDEX jobs_by_experiment ON public.jobs USING btree (experiment_id);

CREATE INDEX jobs_by_prefix ON public.jobs USING btree (((id)::text) text_pattern_ops);

CREATE INDEX jobs_by_work ON public.jobs USING btree (work, finished_at DESC) WHERE ((state = 'succeeded'::public.job_state) AND (gflop > (0)::double precision));

CREATE UNIQUE INDEX jobs_one_per_content ON public.jobs USING btree (content_key) WHERE (state = ANY (ARRAY['blocked'::public.job_state, 'queued'::public.job_state, 'running'::public.job_state, 'succeeded'::public.job_state]));

CREATE INDEX jobs_queue ON public.jobs USING btree (priority DESC, queued_at, id) WHERE (state = 'queued'::public.job_state);

CREATE INDEX jobs_running ON public.jobs USING btree (id) WHERE (state = 'running'::public.job_state);

CREATE INDEX leases_by_worker ON public.leases USING btree (worker_id, released_at DESC) WHERE (released_at IS NOT NULL);

CREATE UNIQUE INDEX leases_one_live_per_device ON public.leases USING btree (device) WHERE (released_at IS NULL);

CREATE UNIQUE INDEX leases_one_live_per_worker ON public.leases USING btree (worker_id) WHERE (released_at IS NULL);

CREATE INDEX results_by_value ON public.results USING btree (name, value);

ALTER TABLE ONLY public.artifacts
    ADD CONSTRAINT artifacts_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_attempt_id_fkey FOREIGN KEY (attempt_id) REFERENCES public.attempts(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES public.workers(id);

ALTER TABLE ONLY public.experiment_jobs
    ADD CONSTRAINT experiment_jobs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);

ALTER TABLE ONLY public.experiment_jobs
    ADD CONSTRAINT experiment_jobs_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.job_dependencies
    ADD CONSTRAINT job_dependencies_depends_on_fkey FOREIGN KEY (depends_on) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.job_dependencies
    ADD CONSTRAINT job_dependencies_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_experiment_id_fkey FOREIGN KEY (experiment_id) REFERENCES public.experiments(id);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_attempt_id_fence_fkey FOREIGN KEY (attempt_id, fence) REFERENCES public.attempts(id, fence);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT leases_worker_id_fkey FOREIGN KEY (worker_id) REFERENCES public.workers(id);

ALTER TABLE ONLY public.logs
    ADD CONSTRAINT logs_attempt_id_fkey FOREIGN KEY (attempt_id) REFERENCES public.attempts(id);

ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT metrics_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.progress
    ADD CONSTRAINT progress_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

ALTER TABLE ONLY public.results
    ADD CONSTRAINT results_job_id_fkey FOREIGN KEY (job_id) REFERENCES public.jobs(id);

