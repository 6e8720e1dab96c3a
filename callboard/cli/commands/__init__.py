"""The commands: a module for each group. Server modules are imported by the commands that run them."""
