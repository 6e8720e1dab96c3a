"""Brokers: RabbitMQ and the one in memory, with what consumes from them and publishes to them."""
