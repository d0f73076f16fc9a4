-- Points of curves lie in chunks: an array of up to a thousand for each row, a tenth of the bytes of a row for each point. What a
-- running job reports a few at a time waits in metrics until there are enough, or until the job has ended.

CREATE TABLE metric_chunks (
    job_id     uuid NOT NULL REFERENCES jobs,
    name       text NOT NULL CHECK (name <> ''),
    first_step bigint NOT NULL CHECK (first_step >= 0),
    last_step  bigint NOT NULL,
    points     integer NOT NULL,
    stride     bigint CHECK (stride > 0),
    offsets    integer[],
    values     double precision[] NOT NULL,
    fence      bigint NOT NULL,
    first_at   timestamptz NOT NULL,
    last_at    timestamptz NOT NULL,
    PRIMARY KEY (job_id, name, first_step),
    CHECK (last_step >= first_step),
    CHECK (points BETWEEN 1 AND 1000 AND cardinality(values) = points),
    CHECK ((stride IS NULL) = (offsets IS NOT NULL) AND cardinality(offsets) = points)
);
COMMENT ON TABLE metric_chunks IS 'Points of a curve from one attempt, in order of their steps. metric_points has them one by one.';
COMMENT ON COLUMN metric_chunks.stride IS 'From each step to the next, where that is always the same.';
COMMENT ON COLUMN metric_chunks.offsets IS 'Otherwise: of each step, from the first.';
COMMENT ON COLUMN metric_chunks.first_at IS 'When the first point was measured; of those between, the time is taken to go by evenly.';
COMMENT ON TABLE metrics IS 'Points that are in no chunk yet. A step that a later attempt repeats changes nothing.';

ALTER TABLE curves ADD COLUMN loose integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN curves.points IS 'As many as are stored: fewer than were measured once the curve has been thinned.';
COMMENT ON COLUMN curves.loose IS 'Points that came since the last chunk was made, about: those in metrics.';

CREATE FUNCTION chunk_points(chunk metric_chunks) RETURNS TABLE (step bigint, value double precision, place bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT chunk.first_step + COALESCE(p."offset", (p.place - 1) * chunk.stride), p.value, p.place
    FROM unnest(chunk.offsets, chunk.values) WITH ORDINALITY AS p ("offset", value, place)
$$;
COMMENT ON FUNCTION chunk_points IS 'The points of a chunk, with their places in it from 1.';

CREATE VIEW metric_points AS
SELECT job_id, name, step, value, fence, at FROM metrics
UNION ALL
SELECT c.job_id, c.name, p.step, p.value, c.fence,
       c.first_at + (c.last_at - c.first_at) * ((p.place - 1)::float8 / GREATEST(c.points - 1, 1))
FROM metric_chunks c CROSS JOIN LATERAL chunk_points(c) p;
COMMENT ON VIEW metric_points IS 'The points of curves, one by one.';

CREATE OR REPLACE VIEW tandem_sql.points AS SELECT job_id, name, step, value, at FROM public.metric_points;
COMMENT ON VIEW tandem_sql.points IS
    'The points of curves. Of some jobs: WHERE job_id = ANY (ARRAY(SELECT id FROM jobs WHERE ..)); a join reads the points of all.';

CREATE OR REPLACE FUNCTION newest_metrics(job uuid) RETURNS TABLE (name text, step bigint, value double precision)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT c.name, c.last_step, c.last FROM curves c WHERE c.job_id = job
    UNION ALL
    -- Curves of a house that is older than their rows, until its leader has made these: a look into the primary key for each, however
    -- long they are.
    SELECT older.name, older.step, older.value FROM (
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
    ) older
    WHERE NOT EXISTS (SELECT FROM curves c WHERE c.job_id = job AND c.name = older.name)
$$;
COMMENT ON FUNCTION newest_metrics IS 'The last point of each curve of a job.';
