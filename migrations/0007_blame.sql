-- Who is at fault for a rank that ended without success is said by evidence, and may be unknown.

ALTER TYPE rank_outcome ADD VALUE 'unknown' AFTER 'lost';
ALTER TYPE rank_outcome ADD VALUE 'input_missing' AFTER 'unknown';
COMMENT ON TYPE rank_outcome IS
    'How one rank ended. job_failed: a cause that only the job can have. lost: a full disk, a device that is gone; its '
    'worker is at fault. unknown: a crash, a signal, an error of libtorch; nothing says by whose fault. input_missing: '
    'an input or the store could not be read. peer_lost: another rank went away and took it along.';
