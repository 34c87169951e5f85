DROP INDEX {name errored_queue};
DROP INDEX {name finished_queue};
