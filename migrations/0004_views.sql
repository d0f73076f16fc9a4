-- For people in psql, and the lists of the command line.

CREATE FUNCTION newest_metrics(job uuid) RETURNS TABLE (name text, step bigint, value double precision)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
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
COMMENT ON FUNCTION newest_metrics IS 'The last point of each curve of a job.';

CREATE VIEW job_overview AS
SELECT e.name AS experiment, j.name AS job, j.stage, j.state, j.reason,
       (SELECT count(*) FROM attempts a WHERE a.job_id = j.id) AS attempts,
       p.phase, p.epoch, p.epochs, p.step, p.steps, round(p.images_per_second) AS images_per_second,
       (SELECT jsonb_object_agg(m.name, m.value) FROM newest_metrics(j.id) m) AS metrics,
       (SELECT jsonb_object_agg(r.name, r.value) FROM results r WHERE r.job_id = j.id) AS results,
       j.finished_at - j.started_at AS took, j.created_at, j.id
FROM jobs j JOIN experiments e ON e.id = j.experiment_id LEFT JOIN progress p ON p.job_id = j.id
ORDER BY e.created_at DESC, j.created_at;
COMMENT ON VIEW job_overview IS 'Every job at a glance, newest experiment first.';

CREATE VIEW attempt_overview AS
SELECT e.name AS experiment, j.name AS job, a.number, a.fence, a.state, a.cause,
       (SELECT string_agg(w.name, ', ' ORDER BY l.rank)
        FROM leases l JOIN workers w ON w.id = l.worker_id WHERE l.attempt_id = a.id) AS workers,
       a.assigned_at, a.training_at - a.assigned_at AS until_training, a.ended_at - a.assigned_at AS took
FROM attempts a JOIN jobs j ON j.id = a.job_id JOIN experiments e ON e.id = j.experiment_id
ORDER BY a.fence DESC;
COMMENT ON VIEW attempt_overview IS 'Who executed what, how long it took to start, and how it ended.';

CREATE VIEW fleet_overview AS
SELECT w.name, w.host, w.device_kind, w.device_name,
       CASE WHEN w.state = 'ready' AND j.id IS NOT NULL THEN 'busy' ELSE w.state::text END AS state,
       j.name AS job, l.rank, clock_timestamp() - w.last_seen AS silent_for, w.id
FROM workers w
LEFT JOIN leases l ON l.worker_id = w.id AND l.released_at IS NULL
LEFT JOIN attempts a ON a.id = l.attempt_id
LEFT JOIN jobs j ON j.id = a.job_id
WHERE w.state <> 'gone'
ORDER BY w.name;
COMMENT ON VIEW fleet_overview IS 'The workers and what they do.';
