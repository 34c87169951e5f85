-- Keys of which no second program is created before a time, in milliseconds since the Unix epoch. Bytes,
-- so that a space at the end counts.
CREATE TABLE IF NOT EXISTS {table unique} (
  unique_key VARBINARY(255) NOT NULL PRIMARY KEY,
  run_id VARCHAR(255) NOT NULL,
  held_until BIGINT NOT NULL,
  INDEX {name unique_until} (held_until)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
