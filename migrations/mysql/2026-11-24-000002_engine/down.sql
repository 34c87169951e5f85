ALTER TABLE {t}
  DROP INDEX {name wake},
  DROP INDEX {name unique_key},
  DROP INDEX {name run_id},
  DROP INDEX {name errored},
  DROP INDEX {name parent},
  DROP COLUMN wake_queue, DROP COLUMN wake_job, DROP COLUMN wake_at, DROP COLUMN held_key,
  DROP COLUMN name, DROP COLUMN queue, DROP COLUMN attributes, DROP COLUMN outputs,
  DROP COLUMN errors, DROP COLUMN parent_run_id, DROP COLUMN child_ordinal, DROP COLUMN job,
  DROP COLUMN ready, DROP COLUMN order_key, DROP COLUMN priority, DROP COLUMN available_at,
  DROP COLUMN unique_key, DROP COLUMN token, DROP COLUMN rev, DROP COLUMN lease_until,
  DROP COLUMN worker, DROP COLUMN crashes, DROP COLUMN busy_until, DROP COLUMN waiting,
  DROP COLUMN retry_after, DROP COLUMN completion;
DROP TABLE IF EXISTS {table queues};
DROP TABLE IF EXISTS {table workers};
