"""Trust in the bus, and in the process that owns the broker's bus name."""
