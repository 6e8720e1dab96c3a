"""Brokers: RabbitMQ and memory. Consumers for workers, transports for the dispatcher."""
