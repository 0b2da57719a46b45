module linuxbroker.test/port

go 1.19

require (
	github.com/godbus/dbus/v5 v5.1.0
	github.com/google/uuid v1.6.0
	github.com/samber/lo v1.47.0
)

require golang.org/x/text v0.16.0 // indirect
