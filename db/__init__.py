"""The truth: settings, tables, states, and the statements that read and write them."""
