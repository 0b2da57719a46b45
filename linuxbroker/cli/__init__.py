"""The command ``linuxbroker``; this module imports nothing."""
