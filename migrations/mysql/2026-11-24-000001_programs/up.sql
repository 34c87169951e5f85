-- The columns that users of program-executor know. A table that it made stays as it is.
CREATE TABLE IF NOT EXISTS {t} (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  run_id VARCHAR(255),
  program_data JSON DEFAULT ('{}'),
  jobs JSON NOT NULL,
  job_data JSON DEFAULT ('{}'),
  step INT DEFAULT 0,
  step_retry_count INT DEFAULT 0,
  finished_at DATETIME(3) NULL,
  errored_at DATETIME(3) NULL,
  error_message LONGTEXT,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
