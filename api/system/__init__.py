"""Job types, queues, workers, statistics, probes, metrics, documentation, the JavaScript client."""
