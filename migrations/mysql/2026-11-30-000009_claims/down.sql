ALTER TABLE {t}
  MODIFY COLUMN wake_job VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (
    CASE WHEN errored_at IS NOT NULL THEN CONCAT('e', queue)
      WHEN finished_at IS NOT NULL THEN CONCAT('f', queue)
      WHEN ready = 1 THEN COALESCE(job, '') ELSE '' END) STORED;
