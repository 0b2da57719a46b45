"""How does a shell use the broker? The command ``linuxbroker``; nothing is imported here."""
