-- When named programs are started by themselves. Times are milliseconds since the Unix epoch.
CREATE TABLE {table schedules} (
  name TEXT NOT NULL PRIMARY KEY,
  program TEXT NOT NULL,
  -- A JSON object.
  arguments TEXT NOT NULL,
  cron TEXT NOT NULL,
  timezone TEXT NOT NULL,
  catch_up TEXT NOT NULL,
  -- code: a binary declares it; runtime: somebody has set it.
  source TEXT NOT NULL,
  -- When somebody has changed what the code says.
  edited_at INTEGER,
  paused_at INTEGER,
  -- Slots come after this and after the last one.
  changed_at INTEGER NOT NULL,
  last_slot INTEGER,
  last_run_id TEXT,
  -- Why the last slot could not be filled.
  error_message TEXT
);

-- What each worker's binary says of its schedules: it holds as long as such a worker lives.
CREATE TABLE {table carriers} (
  worker TEXT NOT NULL,
  name TEXT NOT NULL,
  cron TEXT NOT NULL,
  timezone TEXT NOT NULL,
  catch_up TEXT NOT NULL,
  PRIMARY KEY (worker, name)
);
