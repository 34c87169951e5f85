ALTER TABLE {t}
  MODIFY COLUMN wake_job VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (
    CASE WHEN finished_at IS NOT NULL OR errored_at IS NOT NULL THEN NULL
      WHEN ready = 1 THEN COALESCE(job, '') ELSE '' END) STORED,
  MODIFY COLUMN wake_at BIGINT AS (
    CASE WHEN finished_at IS NOT NULL OR errored_at IS NOT NULL THEN NULL
      WHEN ready = 1 THEN COALESCE(order_key, 0)
      ELSE COALESCE(lease_until, available_at) END) STORED;
