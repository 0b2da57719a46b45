"""Who is behind the broker's bus name, and what is done about one who is not to be trusted."""
