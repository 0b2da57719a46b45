module linuxbroker.test/port

go 1.19

require (
	github.com/godbus/dbus/v5 v5.1.0
	github.com/google/uuid v1.6.0
)
