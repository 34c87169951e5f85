DROP TABLE {table queues};
DROP TABLE {table workers};
ALTER TABLE {t} RESET (
  autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
  autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor,
  autovacuum_vacuum_cost_delay
);
-- The indexes go with their columns.
ALTER TABLE {t}
  DROP COLUMN name, DROP COLUMN queue, DROP COLUMN attributes, DROP COLUMN outputs,
  DROP COLUMN errors, DROP COLUMN parent_run_id, DROP COLUMN child_ordinal, DROP COLUMN job,
  DROP COLUMN ready, DROP COLUMN order_key, DROP COLUMN priority, DROP COLUMN available_at,
  DROP COLUMN unique_key, DROP COLUMN token, DROP COLUMN rev, DROP COLUMN lease_until,
  DROP COLUMN worker, DROP COLUMN crashes, DROP COLUMN busy_until, DROP COLUMN waiting,
  DROP COLUMN retry_after, DROP COLUMN completion;
