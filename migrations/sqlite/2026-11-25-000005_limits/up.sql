-- Limits over all workers. Times are milliseconds since the Unix epoch.

-- One row a limit.
CREATE TABLE {table limits} (
  name TEXT NOT NULL PRIMARY KEY,
  job TEXT NOT NULL,
  -- Until when the rate's tokens are spent, in microseconds.
  spent_until INTEGER NOT NULL DEFAULT 0,
  -- When to look again at the programs that wait for it.
  recheck_at INTEGER
);
CREATE INDEX {name limits_recheck} ON {table limits} (recheck_at) WHERE recheck_at IS NOT NULL;

-- Who runs under a limit, and until when at most.
CREATE TABLE {table holds} (
  program INTEGER NOT NULL,
  token INTEGER NOT NULL,
  name TEXT NOT NULL,
  worker TEXT NOT NULL,
  held_until INTEGER NOT NULL,
  PRIMARY KEY (program, token)
);
CREATE INDEX {name holds_name} ON {table holds} (name, held_until);

-- Programs that wait until there is room under a limit with a key, out of the claims' way.
CREATE TABLE {table parked} (
  program INTEGER NOT NULL PRIMARY KEY,
  rev INTEGER NOT NULL,
  name TEXT NOT NULL,
  order_key INTEGER NOT NULL
);
CREATE INDEX {name parked_name} ON {table parked} (name, order_key, program);
