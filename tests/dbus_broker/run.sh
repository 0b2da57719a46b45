#!/bin/sh
# Runs the tests in which a bus matters on dbus-broker; where that is not installed, says so, and fails if everything is
# asked for. Reading replies, checking arguments and hiding secrets know of no bus.
if ! command -v dbus-broker >/dev/null; then
    echo "dbus-broker is not installed: its tests are skipped"
    test "$LINUXBROKER_REQUIRE_COMPAT" != 1
    exit
fi
here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/bin:$PATH
export PATH
exec dbus-run-session --dbus-daemon="$here/bin/dbus-daemon" -- python -m pytest "$@"
