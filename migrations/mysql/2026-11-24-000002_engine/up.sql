-- What Executor needs beside them. Times are milliseconds since the Unix epoch.

CREATE TABLE IF NOT EXISTS {table workers} (
  id VARCHAR(64) NOT NULL PRIMARY KEY,
  host TEXT NOT NULL,
  pid BIGINT NOT NULL,
  queues TEXT NOT NULL,
  slots BIGINT NOT NULL,
  lease BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

CREATE TABLE IF NOT EXISTS {table queues} (
  name VARCHAR(255) NOT NULL PRIMARY KEY,
  paused_at BIGINT
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- One statement, and the last one: it is done whole or not at all.
ALTER TABLE {t}
  -- program-executor cuts messages at 255 characters, and compares run ids as the database likes.
  MODIFY COLUMN error_message LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  MODIFY COLUMN run_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,

  -- What people know a program by, and what it belongs to.
  ADD COLUMN name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ADD COLUMN queue VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL
    DEFAULT 'default',
  ADD COLUMN attributes JSON NOT NULL DEFAULT ('{}'),
  ADD COLUMN outputs JSON NOT NULL DEFAULT ('{}'),
  ADD COLUMN errors JSON NOT NULL DEFAULT ('[]'),
  ADD COLUMN parent_run_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  -- How many programs the current step has started (what is stored with saved progress).
  ADD COLUMN child_ordinal INT NOT NULL DEFAULT 0,

  -- When and in which order it runs. NULL in available_at: something from outside says when
  -- (a report for a program that waits; the broker for rows that program-executor inserts).
  ADD COLUMN job VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ADD COLUMN ready TINYINT NOT NULL DEFAULT 0,
  ADD COLUMN order_key BIGINT,
  ADD COLUMN priority INT NOT NULL DEFAULT 0,
  ADD COLUMN available_at BIGINT,
  ADD COLUMN unique_key LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,

  -- Who runs it. token: the claim counter, never cleared; rev: raised by each write of a worker.
  ADD COLUMN token BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN rev BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN lease_until BIGINT,
  ADD COLUMN worker VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ADD COLUMN crashes INT NOT NULL DEFAULT 0,
  -- Until when a body may still run whose claim was taken away from outside.
  ADD COLUMN busy_until BIGINT,

  -- What it waits for when it was handed off, for how long, and a report that came early.
  ADD COLUMN waiting VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  ADD COLUMN retry_after BIGINT,
  ADD COLUMN completion LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,

  -- What an unfinished program waits for, and NULL when it has ended. It can be claimed: its queue,
  -- its job, and its place in their order. Else: '', '', and when it becomes due by itself, which is
  -- the end of a lease or of a delay.
  ADD COLUMN wake_queue VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (
    CASE WHEN finished_at IS NOT NULL OR errored_at IS NOT NULL THEN NULL
      WHEN ready = 1 THEN queue ELSE '' END) STORED,
  ADD COLUMN wake_job VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin AS (
    CASE WHEN finished_at IS NOT NULL OR errored_at IS NOT NULL THEN NULL
      WHEN ready = 1 THEN COALESCE(job, '') ELSE '' END) STORED,
  ADD COLUMN wake_at BIGINT AS (
    CASE WHEN finished_at IS NOT NULL OR errored_at IS NOT NULL THEN NULL
      WHEN ready = 1 THEN COALESCE(order_key, 0)
      ELSE COALESCE(lease_until, available_at) END) STORED,
  -- The unique key while it is unfinished; a key may be longer than an index takes.
  ADD COLUMN held_key BINARY(32) AS (
    CASE WHEN finished_at IS NULL AND errored_at IS NULL THEN UNHEX(SHA2(unique_key, 256)) END)
    STORED,

  ADD INDEX {name wake} (wake_queue, wake_job, wake_at, id),
  ADD UNIQUE INDEX {name unique_key} (held_key),
  ADD INDEX {name run_id} (run_id, id),
  ADD INDEX {name errored} (errored_at),
  ADD INDEX {name parent} (parent_run_id, id);
