-- What becomes due by itself: delays, and apart from them, as 'claimed', the ends of claims (a lease, or the time
-- that a body is given whose claim was taken away), so that those which end too far ahead are found without a
-- walk over all that is scheduled. One statement, which can be run again.
ALTER TABLE {t}
  MODIFY COLUMN wake_job VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (
    CASE WHEN errored_at IS NOT NULL THEN CONCAT('e', queue)
      WHEN finished_at IS NOT NULL THEN CONCAT('f', queue)
      WHEN ready = 1 THEN COALESCE(job, '')
      WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 'claimed' ELSE '' END) STORED;
