-- Figures of attacks by what they hold: until now `median_distance` counted only the images that fell, which makes a weak attack
-- seem near, and `median_distance_all` counted all. The plain name is now that of all images, so that no ranking mixes the two.

CREATE TABLE renamed_results (
    name          text PRIMARY KEY,
    now           text NOT NULL,
    through_fence bigint NOT NULL
);
COMMENT ON TABLE renamed_results IS
    'Results whose name changed its meaning. What an attempt up to through_fence reports was named by an older program, however '
    'late it comes, and is stored under the name that it has now.';

INSERT INTO renamed_results (name, now, through_fence)
SELECT renamed.name, renamed.now, COALESCE((SELECT MAX(fence) FROM attempts), 0)
FROM (VALUES ('median_distance', 'median_distance_paper'), ('median_distance_all', 'median_distance')) AS renamed (name, now);

UPDATE results SET name = 'median_distance_paper' WHERE name = 'median_distance';
UPDATE results SET name = 'median_distance' WHERE name = 'median_distance_all';

INSERT INTO results (job_id, name, value, fence, at, stage)
SELECT job_id, 'robust_accuracy_at_' || substr(name, length('misclassified_at_') + 1), 1 - value, fence, at, stage
FROM results WHERE name LIKE 'misclassified\_at\_%'
ON CONFLICT DO NOTHING;
