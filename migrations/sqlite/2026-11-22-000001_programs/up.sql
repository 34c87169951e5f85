-- The columns that users of program-executor know. A table that it made stays as it is.
CREATE TABLE IF NOT EXISTS {t} (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  run_id VARCHAR(255),
  program_data TEXT DEFAULT '{}',
  jobs TEXT NOT NULL,
  job_data TEXT DEFAULT '{}',
  step INTEGER DEFAULT 0,
  step_retry_count INTEGER DEFAULT 0,
  finished_at DATETIME,
  errored_at DATETIME,
  error_message TEXT,
  created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS {name run_id} ON {t} (run_id);
