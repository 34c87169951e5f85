-- When named programs are started by themselves. Times are milliseconds since the Unix epoch.
CREATE TABLE {table schedules} (
  name text COLLATE "C" PRIMARY KEY,
  program text NOT NULL,
  -- A JSON object.
  arguments text NOT NULL,
  cron text NOT NULL,
  timezone text NOT NULL,
  catch_up text NOT NULL,
  -- code: a binary declares it; runtime: somebody has set it.
  source text NOT NULL,
  -- When somebody has changed what the code says.
  edited_at bigint,
  paused_at bigint,
  -- Slots come after this and after the last one.
  changed_at bigint NOT NULL,
  last_slot bigint,
  last_run_id text,
  -- Why the last slot could not be filled.
  error_message text
);

-- What each worker's binary says of its schedules: it holds as long as such a worker lives.
CREATE TABLE {table carriers} (
  worker text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  cron text NOT NULL,
  timezone text NOT NULL,
  catch_up text NOT NULL,
  PRIMARY KEY (worker, name)
);
