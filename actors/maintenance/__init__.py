"""Maintenance: rescue, expiry, partitions, rollups, retention. One process at a time does each duty."""
