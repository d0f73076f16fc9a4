-- What was expected of a job when it was submitted: by it and by how long the job took, the next one like it is judged.

ALTER TABLE jobs ADD COLUMN work text NOT NULL DEFAULT '', ADD COLUMN gflop double precision NOT NULL DEFAULT 0;
COMMENT ON COLUMN jobs.work IS 'Kind of work: jobs of one kind do as many operations a second. "supervised resnet18 exact".';
COMMENT ON COLUMN jobs.gflop IS '10^9 floating-point operations of the whole job as estimated; 0 where that is not known.';
CREATE INDEX jobs_by_work ON jobs (work, finished_at DESC) WHERE state = 'succeeded' AND gflop > 0;
