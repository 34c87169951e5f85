-- Programs that wait for the end of one that they have started: a row for each, and only as long as it
-- waits. The claim is the token under which it began to wait: another one has nothing to do with it.
CREATE TABLE IF NOT EXISTS {table waits} (
  program BIGINT NOT NULL,
  claim BIGINT NOT NULL,
  child VARCHAR(255) NOT NULL,
  PRIMARY KEY (program, claim),
  INDEX {name waits_child} (child)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
