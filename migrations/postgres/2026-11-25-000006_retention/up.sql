-- Which programs ended long enough ago, queue by queue.
CREATE INDEX {name finished_queue} ON {t} (queue, finished_at)
  WHERE finished_at IS NOT NULL AND errored_at IS NULL;
CREATE INDEX {name errored_queue} ON {t} (queue, errored_at) WHERE errored_at IS NOT NULL;
