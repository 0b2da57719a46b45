"""The identities and scopes that most tests use: an app, and the people and tenants of the fake broker's directory."""

from __future__ import annotations

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
ADA = "ada@contoso.example"
GRACE = "grace@fabrikam.example"
# Tenant IDs.
CONTOSO = "00000000-0000-0000-0000-0000000000f1"
FABRIKAM = "00000000-0000-0000-0000-0000000000f2"
GRAPH = ["https://graph.microsoft.com/.default"]
SCOPE = "https://graph.microsoft.com/User.Read"
SCOPES = [SCOPE]
REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"
