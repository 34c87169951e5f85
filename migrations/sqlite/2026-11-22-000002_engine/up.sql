-- What Executor needs beside them. Times are milliseconds since the Unix epoch.

-- What people know a program by, and what it belongs to.
ALTER TABLE {t} ADD COLUMN name TEXT;
ALTER TABLE {t} ADD COLUMN queue TEXT NOT NULL DEFAULT 'default';
ALTER TABLE {t} ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE {t} ADD COLUMN outputs TEXT NOT NULL DEFAULT '{}';
ALTER TABLE {t} ADD COLUMN errors TEXT NOT NULL DEFAULT '[]';
ALTER TABLE {t} ADD COLUMN parent_run_id TEXT;
-- How many programs the current step has started (what is stored with saved progress).
ALTER TABLE {t} ADD COLUMN child_ordinal INTEGER NOT NULL DEFAULT 0;

-- When and in which order it runs. NULL in available_at: something from outside says when
-- (a report for a program that waits; the broker for rows that program-executor inserts).
ALTER TABLE {t} ADD COLUMN job TEXT;
ALTER TABLE {t} ADD COLUMN ready INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {t} ADD COLUMN order_key INTEGER;
ALTER TABLE {t} ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {t} ADD COLUMN available_at INTEGER;
ALTER TABLE {t} ADD COLUMN unique_key TEXT;

-- Who runs it. token: the claim counter, never cleared; rev: raised by each write of a worker.
ALTER TABLE {t} ADD COLUMN token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {t} ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {t} ADD COLUMN lease_until INTEGER;
ALTER TABLE {t} ADD COLUMN worker TEXT;
ALTER TABLE {t} ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
-- Until when a body may still run whose claim was taken away from outside.
ALTER TABLE {t} ADD COLUMN busy_until INTEGER;

-- What it waits for when it was handed off, for how long, and a report that came early.
ALTER TABLE {t} ADD COLUMN waiting TEXT;
ALTER TABLE {t} ADD COLUMN retry_after INTEGER;
ALTER TABLE {t} ADD COLUMN completion TEXT;

-- What can be claimed, in the order in which it is claimed.
CREATE INDEX {name ready} ON {t} (queue, job, order_key)
  WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL;
-- What becomes due by itself: the end of a lease, or of a delay.
CREATE INDEX {name due} ON {t} (COALESCE(lease_until, available_at))
  WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL;
CREATE UNIQUE INDEX {name unique_key} ON {t} (unique_key)
  WHERE unique_key IS NOT NULL AND finished_at IS NULL AND errored_at IS NULL;
CREATE INDEX {name errored} ON {t} (errored_at) WHERE errored_at IS NOT NULL;
CREATE INDEX {name parent} ON {t} (parent_run_id) WHERE parent_run_id IS NOT NULL;

CREATE TABLE {table workers} (
  id TEXT NOT NULL PRIMARY KEY,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  queues TEXT NOT NULL,
  slots INTEGER NOT NULL,
  lease INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
);

CREATE TABLE {table queues} (
  name TEXT NOT NULL PRIMARY KEY,
  paused_at INTEGER
);
