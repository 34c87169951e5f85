DROP INDEX {table due};
CREATE INDEX {name due} ON {t} ((COALESCE(lease_until, available_at)))
  WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL;
