-- When named programs are started by themselves. Times are milliseconds since the Unix epoch.
CREATE TABLE IF NOT EXISTS {table schedules} (
  name VARCHAR(255) NOT NULL PRIMARY KEY,
  program TEXT NOT NULL,
  -- A JSON object.
  arguments LONGTEXT NOT NULL,
  cron TEXT NOT NULL,
  timezone TEXT NOT NULL,
  catch_up TEXT NOT NULL,
  -- code: a binary declares it; runtime: somebody has set it.
  source TEXT NOT NULL,
  -- When somebody has changed what the code says.
  edited_at BIGINT,
  paused_at BIGINT,
  -- Slots come after this and after the last one.
  changed_at BIGINT NOT NULL,
  last_slot BIGINT,
  last_run_id TEXT,
  -- Why the last slot could not be filled.
  error_message LONGTEXT
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- What each worker's binary says of its schedules: it holds as long as such a worker lives.
CREATE TABLE IF NOT EXISTS {table carriers} (
  worker VARCHAR(64) NOT NULL,
  name VARCHAR(255) NOT NULL,
  cron TEXT NOT NULL,
  timezone TEXT NOT NULL,
  catch_up TEXT NOT NULL,
  PRIMARY KEY (worker, name)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
