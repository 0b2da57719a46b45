// A client of the Linux identity broker, written from PROTOCOL.md, as the driver that CONFORMANCE.md asks for.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	name                                  = "com.microsoft.identity.broker1"
	path                                  = "/com/microsoft/identity/broker1"
	silent, password, interactive, cookie = 1, 3, 6, 8
)

var cancelRequest = object{"error": object{
	"context": "The InteractiveRequest was canceled on behalf of the user", "diagnostics": nil,
	"errorCode": 0, "status": 7, "subStatus": 0, "tag": 579379414,
}}

// A line asks for an operation.
type line struct {
	ID, Operation, Cancels, ClientID, RedirectURI, Authority, Username, Password, Tenant, LoginHint, Prompt string
	SsoURL, Claims, AccessTokenToRenew                                                                      string
	Account                                                                                                 object
	Scopes                                                                                                  []string
	ParentWindowHandle                                                                                      int
	ExtraQueryParameters                                                                                    map[string]string
	Pop                                                                                                     *struct{ HTTPMethod, URL, Nonce, ClientClaims, Kid string }
	TimeLimit                                                                                               float64
}
