-- What Executor needs beside them. Times are milliseconds since the Unix epoch.

-- program-executor cuts messages at 255 characters.
ALTER TABLE {t} ALTER COLUMN error_message TYPE text;

ALTER TABLE {t}
  -- What people know a program by, and what it belongs to.
  ADD COLUMN name text,
  ADD COLUMN queue text COLLATE "C" NOT NULL DEFAULT 'default',
  ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN outputs jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN errors jsonb NOT NULL DEFAULT '[]',
  ADD COLUMN parent_run_id text,
  -- How many programs the current step has started (what is stored with saved progress).
  ADD COLUMN child_ordinal integer NOT NULL DEFAULT 0,

  -- When and in which order it runs. NULL in available_at: something from outside says when
  -- (a report for a program that waits; the broker for rows that program-executor inserts).
  ADD COLUMN job text COLLATE "C",
  ADD COLUMN ready smallint NOT NULL DEFAULT 0,
  ADD COLUMN order_key bigint,
  ADD COLUMN priority integer NOT NULL DEFAULT 0,
  ADD COLUMN available_at bigint,
  ADD COLUMN unique_key text,

  -- Who runs it. token: the claim counter, never cleared; rev: raised by each write of a worker.
  ADD COLUMN token bigint NOT NULL DEFAULT 0,
  ADD COLUMN rev bigint NOT NULL DEFAULT 0,
  ADD COLUMN lease_until bigint,
  ADD COLUMN worker text,
  ADD COLUMN crashes integer NOT NULL DEFAULT 0,
  -- Until when a body may still run whose claim was taken away from outside.
  ADD COLUMN busy_until bigint,

  -- What it waits for when it was handed off, for how long, and a report that came early.
  ADD COLUMN waiting text,
  ADD COLUMN retry_after bigint,
  ADD COLUMN completion text;

-- What can be claimed, in the order in which it is claimed.
CREATE INDEX {name ready} ON {t} (queue, job, order_key, id)
  WHERE ready = 1 AND finished_at IS NULL AND errored_at IS NULL;
-- What becomes due by itself: the end of a lease, or of a delay.
CREATE INDEX {name due} ON {t} ((COALESCE(lease_until, available_at)))
  WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL;
CREATE UNIQUE INDEX {name unique_key} ON {t} (unique_key)
  WHERE unique_key IS NOT NULL AND finished_at IS NULL AND errored_at IS NULL;
CREATE INDEX {name errored} ON {t} (errored_at) WHERE errored_at IS NOT NULL;
CREATE INDEX {name parent} ON {t} (parent_run_id) WHERE parent_run_id IS NOT NULL;

-- A queue's rows die young: they are to be cleared away long before a fifth of a large table is dead.
ALTER TABLE {t} SET (
  fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
  autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.1,
  autovacuum_vacuum_cost_delay = 0
);

CREATE TABLE {table workers} (
  id text PRIMARY KEY,
  host text NOT NULL,
  pid bigint NOT NULL,
  queues text NOT NULL,
  slots bigint NOT NULL,
  lease bigint NOT NULL,
  started_at bigint NOT NULL,
  seen_at bigint NOT NULL
);

CREATE TABLE {table queues} (
  name text COLLATE "C" PRIMARY KEY,
  paused_at bigint
);
