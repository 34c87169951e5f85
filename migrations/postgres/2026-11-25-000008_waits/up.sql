-- Programs that wait for the end of one that they have started: a row for each, and only as long as it
-- waits. The claim is the token under which it began to wait: another one has nothing to do with it.
CREATE TABLE {table waits} (
  program bigint NOT NULL,
  claim bigint NOT NULL,
  -- Compared with run_id, and so of the same type and collation.
  child varchar(255) NOT NULL,
  PRIMARY KEY (program, claim)
);
CREATE INDEX {name waits_child} ON {table waits} (child);
