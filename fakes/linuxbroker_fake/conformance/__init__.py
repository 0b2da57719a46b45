"""The conformance runner: plays the vectors of ``interfaces/`` to a client or a broker."""
