-- Which programs ended long enough ago, queue by queue: in the index `wake` an ended program stands with
-- 'e' (errored) or 'f' (finished) before its queue, and with the time at which it ended. So it costs no
-- index of its own. One statement, which can be run again.
ALTER TABLE {t}
  MODIFY COLUMN wake_job VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (
    CASE WHEN errored_at IS NOT NULL THEN CONCAT('e', queue)
      WHEN finished_at IS NOT NULL THEN CONCAT('f', queue)
      WHEN ready = 1 THEN COALESCE(job, '') ELSE '' END) STORED,
  MODIFY COLUMN wake_at BIGINT AS (
    CASE WHEN errored_at IS NOT NULL
        THEN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', errored_at) DIV 1000
      WHEN finished_at IS NOT NULL
        THEN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', finished_at) DIV 1000
      WHEN ready = 1 THEN COALESCE(order_key, 0)
      ELSE COALESCE(lease_until, available_at) END) STORED;
