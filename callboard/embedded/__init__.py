"""What `callboard up` brings along where no service is configured: a PostgreSQL of its own."""
