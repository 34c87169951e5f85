-- The columns that users of program-executor know. A table that it made stays as it is.
CREATE TABLE IF NOT EXISTS {t} (
  id bigserial PRIMARY KEY,
  run_id varchar(255),
  program_data jsonb DEFAULT '{}',
  jobs jsonb NOT NULL,
  job_data jsonb DEFAULT '{}',
  step integer DEFAULT 0,
  step_retry_count integer DEFAULT 0,
  finished_at timestamptz,
  errored_at timestamptz,
  error_message text,
  created_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);
-- Its name is the one that program-executor gives it.
CREATE INDEX IF NOT EXISTS {name run_id_index} ON {t} (run_id);
