-- What becomes due by itself: delays, and apart from them the ends of claims (a lease, or the time that a body
-- is given whose claim was taken away), so that those which end too far ahead are found without a walk over
-- all that is scheduled.
DROP INDEX {table due};
CREATE INDEX {name due} ON {t} (
  (CASE WHEN lease_until IS NOT NULL OR available_at = busy_until THEN 1 ELSE 0 END),
  (COALESCE(lease_until, available_at))
) WHERE ready = 0 AND finished_at IS NULL AND errored_at IS NULL;
