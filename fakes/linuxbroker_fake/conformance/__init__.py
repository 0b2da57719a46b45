"""Does a client, or a broker, do what ``interfaces/`` says? Runs the conformance vectors against it."""
