"""The broker's names on the bus. Source: PROTOCOL.md, "Transport"."""

BROKER_BUS_NAME = "com.microsoft.identity.broker1"
BROKER_OBJECT_PATH = "/com/microsoft/identity/broker1"
BROKER_INTERFACE = "com.microsoft.identity.Broker1"

# The values of ``prompt`` (PROTOCOL.md, "authParameters").
PROMPTS = ("select_account", "login", "consent", "none")
