"""Settings, tables, the rules of jobs, and all statements that read and write them."""
