-- Limits over all workers. Times are milliseconds since the Unix epoch.

-- One row a limit: it is locked by those who decide who may run under it.
CREATE TABLE {table limits} (
  name text COLLATE "C" PRIMARY KEY,
  job text COLLATE "C" NOT NULL,
  -- Until when the rate's tokens are spent, in microseconds.
  spent_until bigint NOT NULL DEFAULT 0,
  -- When to look again at the programs that wait for it.
  recheck_at bigint
);
CREATE INDEX {name limits_recheck} ON {table limits} (recheck_at) WHERE recheck_at IS NOT NULL;

-- Who runs under a limit, and until when at most.
CREATE TABLE {table holds} (
  program bigint NOT NULL,
  token bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  worker text NOT NULL,
  held_until bigint NOT NULL,
  PRIMARY KEY (program, token)
);
CREATE INDEX {name holds_name} ON {table holds} (name, held_until);

-- Programs that wait until there is room under a limit with a key, out of the claims' way.
CREATE TABLE {table parked} (
  program bigint PRIMARY KEY,
  rev bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  order_key bigint NOT NULL
);
CREATE INDEX {name parked_name} ON {table parked} (name, order_key, program);
