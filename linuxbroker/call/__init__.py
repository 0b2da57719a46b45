"""How a call reaches a broker: transport, repeating, sharing, failures, presence and trust."""
