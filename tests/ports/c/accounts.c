/* Lists the accounts through what gdbus-codegen makes of the interface's XML: prints the broker's reply. */
#include "broker1.h"

/* The broker is neither introspected, nor asked for properties, nor started, before it is called. */
#define FLAGS (G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES | G_DBUS_PROXY_FLAGS_DO_NOT_CONNECT_SIGNALS | \
               G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START_AT_CONSTRUCTION)

int main(int argc, char **argv) {
    if (argc != 2) {
        g_printerr("usage: %s CLIENT_ID\n", argv[0]);
        return 2;
    }
    g_autoptr(GError) error = NULL;
    g_autoptr(Broker1) broker = broker1_proxy_new_for_bus_sync(
        G_BUS_TYPE_SESSION, FLAGS, "com.microsoft.identity.broker1", "/com/microsoft/identity/broker1", NULL, &error);
    if (broker == NULL) {
        g_printerr("no session bus: %s\n", error->message);
        return 1;
    }
    g_autofree char *correlation_id = g_uuid_string_random();
    g_autofree char *request = g_strdup_printf("{\"clientId\":\"%s\",\"redirectUri\":\"%s\"}", argv[1], argv[1]);
    g_autofree char *reply = NULL;
    if (!broker1_call_get_accounts_sync(broker, "0.0", correlation_id, request, &reply, NULL, &error)) {
        g_printerr("getAccounts failed: %s\n", error->message);
        return 1;
    }
    g_print("%s\n", reply);
    return 0;
}
