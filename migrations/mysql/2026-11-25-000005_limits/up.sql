-- Limits over all workers. Times are milliseconds since the Unix epoch.

-- One row a limit: it is locked by those who decide who may run under it.
CREATE TABLE IF NOT EXISTS {table limits} (
  name VARCHAR(255) NOT NULL PRIMARY KEY,
  job VARCHAR(255) NOT NULL,
  -- Until when the rate's tokens are spent, in microseconds.
  spent_until BIGINT NOT NULL DEFAULT 0,
  -- When to look again at the programs that wait for it.
  recheck_at BIGINT,
  INDEX {name limits_recheck} (recheck_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Who runs under a limit, and until when at most.
CREATE TABLE IF NOT EXISTS {table holds} (
  program BIGINT NOT NULL,
  token BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  worker VARCHAR(64) NOT NULL,
  held_until BIGINT NOT NULL,
  PRIMARY KEY (program, token),
  INDEX {name holds_name} (name, held_until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Programs that wait until there is room under a limit with a key, out of the claims' way.
CREATE TABLE IF NOT EXISTS {table parked} (
  program BIGINT NOT NULL PRIMARY KEY,
  rev BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  order_key BIGINT NOT NULL,
  INDEX {name parked_name} (name, order_key, program)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
