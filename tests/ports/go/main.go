// A client of the Linux identity broker, written from PROTOCOL.md, as the driver that CONFORMANCE.md asks for.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	name, path, bus                       = "com.microsoft.identity.broker1", "/com/microsoft/identity/broker1", "org.freedesktop.DBus"
	silent, password, interactive, cookie = 1, 3, 6, 8
	tagAlphabet                           = "abcdefghijklmnopqrstuvwxyz0123456789"
)

type object = map[string]any

// A failure is what the driver says of a failed call: nothing secret, of the broker's texts only the codes.
type failure object

var (
	statuses = strings.Fields(`Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
		ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
		InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError
		AccountSwitch DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`)
	tokenTypes    = map[string]string{"<nil>": "Bearer", "0": "Bearer", "bearer": "Bearer", "1": "pop", "pop": "pop"}
	aliases       = regexp.MustCompile(`//(login|sts)\.windows\.net`)
	anyTenant     = regexp.MustCompile(`(?i)/(common|organizations)$`)
	reserved      = []string{"openid", "profile", "offline_access"}
	cancelRequest = object{"error": object{"errorCode": 0, "status": 7, "subStatus": 0, "tag": 579379414,
		"context": "The InteractiveRequest was canceled on behalf of the user", "diagnostics": nil}}
	// Family, status, and a pattern for an error's name and text. The first row that fits counts.
	callErrors = [][3]string{
		{"timeout", "", `^context deadline exceeded|^Timeout `},
		{"disconnected", "", `^dbus: connection closed|^(NoReply|Disconnected) `},
		{"absent", "", `^(ServiceUnknown|NameHasNoOwner|Spawn\.ServiceNotFound) `},
		{"start", "", `^(Spawn\.\w+|TimedOut) `},
		{"unsupported", "", `^(Unknown(Method|Interface|Object)|NotSupported|InvalidArgs) |(?i)not implemented`},
		{"broker", "TransientError", `(?i)broker socket connect`},
		{"broker", "InteractionRequired", `AADSTS(16000|500(55|58|72|74|76|78|79)|50126|5013[23]|50144|50158|50173|` +
			`65001|70008|70043|70044|700082|700084)\b`},
		{"broker", "Unexpected", ""},
	}
)

// An operation is what a line asks for.
type operation struct {
	ID, Operation, Cancels, ClientID, RedirectURI, Authority, Username, Password, Tenant, LoginHint string
	Prompt, SsoURL, Claims, AccessTokenToRenew                                                      string
	Scopes                                                                                          []string
	ExtraQueryParameters, Pop                                                                       map[string]string
	Account                                                                                         object
	ParentWindowHandle                                                                              int
	TimeLimit                                                                                       float64
	conn                                                                                            *dbus.Conn
	correlationID                                                                                   string
	canceled                                                                                        chan struct{}
}

type brokerError struct {
	Context     string
	Status, Tag int
}

type reply struct {
	Accounts                                                         []object
	LinuxBrokerVersion, SignedHTTPRequest, CookieName, CookieContent string
	CookieItems                                                      []reply
	Error                                                            *brokerError
	BrokerTokenResponse                                              tokenReply
}

type tokenReply struct {
	AccessToken, ClientInfo, IDToken, SubError string
	AccessTokenType, GrantedScopes             any
	ExpiresOn                                  json.Number
	Account                                    object
	Error                                      *brokerError
}

type claims struct {
	Exp                            float64
	Oid, Tid, Name, Uid, Utid, Kid string
	Username                       string `json:"preferred_username"`
}

func must(ok bool, what string) {
	if !ok {
		panic(failure{"family": "malformed", "message": "The broker's reply makes no sense: it has no " + what})
	}
}

func keep[T any](list []T, wanted func(T) bool) (kept []T) {
	for _, each := range list {
		if wanted(each) {
			kept = append(kept, each)
		}
	}
	return kept
}

func isIn(list []string, word string) bool {
	return len(keep(list, func(each string) bool { return strings.EqualFold(each, word) })) > 0
}

func brokerFailure(status, context, tag, subError string) failure {
	codes := []string{}
	for _, code := range regexp.MustCompile(`AADSTS\d+`).FindAllString(context, -1) {
		if !isIn(codes, code) {
			codes = append(codes, code)
		}
	}
	message := fmt.Sprintf("The broker failed: %s %s %v", status, tag, codes)
	return failure{"family": "broker", "message": message, "status": status, "tag": tag, "subError": subError, "codes": codes}
}

func failureOf(err error) failure {
	text := err.Error()
	if reply, ok := err.(dbus.Error); ok {
		text = strings.TrimPrefix(reply.Name, bus+".Error.") + " " + text
	}
	row := keep(callErrors, func(row [3]string) bool { return regexp.MustCompile(row[2]).MatchString(text) })[0]
	if row[0] == "broker" {
		return brokerFailure(row[1], text, "", "")
	}
	return failure{"family": row[0], "message": "The call of the broker failed: " + row[0]}
}

func tagName(tag int) (name string) {
	for shift := 24; shift >= 0 && tag > 0; shift -= 6 {
		index := tag >> shift & 63
		if index >= len(tagAlphabet) {
			return ""
		}
		name += tagAlphabet[index : index+1]
	}
	return name
}

// parse reads a reply, or panics with the error that it holds. Of one that makes no sense nothing is read.
func parse(call *dbus.Call) (parsed reply) {
	if call.Err != nil {
		panic(failureOf(call.Err))
	}
	var text string
	call.Store(&text)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	decoder.Decode(&parsed)
	for _, reported := range []*brokerError{parsed.Error, parsed.BrokerTokenResponse.Error} {
		if reported != nil {
			if reported.Status < 0 || reported.Status >= len(statuses) {
				reported.Status = 0
			}
			status, subError := statuses[reported.Status], parsed.BrokerTokenResponse.SubError
			panic(brokerFailure(status, reported.Context, tagName(reported.Tag), subError))
		}
	}
	return parsed
}

func decode(base64url string) (decoded claims) {
	text, _ := base64.RawURLEncoding.DecodeString(base64url)
	json.Unmarshal(text, &decoded)
	return decoded
}

func claimsOf(jwt string) claims { return decode(strings.Split(jwt+".", ".")[1]) }

func (t *tokenReply) account(requested object) object {
	user, home := claimsOf(t.IDToken), decode(t.ClientInfo)
	if t.Account != nil || requested != nil || user.Tid == "" || home.Uid == "" {
		return map[bool]object{true: t.Account, false: requested}[t.Account != nil]
	}
	return object{"homeAccountId": home.Uid + "." + home.Utid, "localAccountId": user.Oid, "realm": user.Tid,
		"environment": "login.windows.net", "username": user.Username, "name": user.Name}
}

func (t *tokenReply) expiresOn() int64 {
	time := claimsOf(t.AccessToken).Exp
	if time == 0 {
		time, _ = t.ExpiresOn.Float64()
	}
	must(time > 0, "time at which the token expires")
	if time >= 1e11 {
		time /= 1000
	}
	return int64(time)
}

// outcome is that of a request for these scopes, with this account or nil.
func (t *tokenReply) outcome(requested []string, account object) object {
	tokenType := tokenTypes[strings.ToLower(fmt.Sprint(t.AccessTokenType))]
	must(t.AccessToken != "" && tokenType != "", "token of a known type")
	scopes := strings.Fields(strings.Trim(fmt.Sprint(t.GrantedScopes), "[]")) // A list prints as [a b].
	if t.GrantedScopes == nil || len(scopes) == 0 {
		scopes = requested
	}
	if declined := keep(requested, func(scope string) bool { return !isIn(scopes, scope) }); declined != nil {
		message := fmt.Sprintf("The broker did not grant %v. Ask for consent.", declined)
		panic(failure{"family": "declined", "message": message, "status": statuses[6], "declinedScopes": declined})
	}
	return object{"token": object{"accessToken": t.AccessToken, "tokenType": tokenType, "expiresOn": t.expiresOn(),
		"scopes": scopes, "idToken": t.IDToken, "account": t.account(account)}}
}

func (o *operation) authority(account object) string {
	authority := aliases.ReplaceAllString(strings.TrimRight(o.Authority, "/"), "//login.microsoftonline.com")
	if account == nil {
		return authority
	}
	return anyTenant.ReplaceAllString(authority, "/"+fmt.Sprint(account["realm"]))
}

func (o *operation) popParams() map[string]string {
	params := map[string]string{"nonce": o.Pop["nonce"], "clientClaims": o.Pop["clientClaims"]}
	if address, err := url.Parse(o.Pop["url"]); err == nil && address.Host != "" {
		params["httpMethod"], params["uriHost"], params["uriPath"] = o.Pop["httpMethod"], address.Host, address.Path
	}
	if o.Pop["kid"] != "" {
		params["authenticationScheme"], params["kid"] = "pop", o.Pop["kid"]
	}
	return params
}

func (o *operation) authParameters(kind int, account object, username, authority string) object {
	parameters := object{
		"accessTokenToRenew": o.AccessTokenToRenew, "account": account, "authority": authority, "authorizationType": kind,
		"clientId": o.ClientID, "decodedClaims": o.Claims, "redirectUri": o.RedirectURI, "requestedScopes": o.Scopes,
		"username": username, "additionalQueryParametersForAuthorization": o.ExtraQueryParameters,
	}
	if account == nil {
		parameters["isSignIn"] = true
	} else {
		parameters["username"] = account["username"]
	}
	if o.Pop != nil {
		parameters["popParams"] = o.popParams()
	}
	if confirmation := o.ExtraQueryParameters["req_cnf"]; confirmation != "" {
		key := decode(confirmation)
		json.Unmarshal([]byte(confirmation), &key)
		parameters["popParams"] = object{"kid": key.Kid}
		delete(o.ExtraQueryParameters, "req_cnf")
	}
	return parameters
}

func (o *operation) start(ctx context.Context, member, correlationID string, request object) *dbus.Call {
	body, _ := json.Marshal(request)
	method, done := "com.microsoft.identity.Broker1."+member, make(chan *dbus.Call, 1)
	return o.conn.Object(name, path).GoWithContext(ctx, method, 0, done, "0.0", correlationID, string(body))
}

func (o *operation) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Duration(o.TimeLimit*float64(time.Second)))
}

func (o *operation) call(member string, request object) reply {
	ctx, stop := o.limit()
	defer stop()
	return parse(<-o.start(ctx, member, o.correlationID, request).Done)
}

func (o *operation) accounts() []object {
	accounts := o.call("getAccounts", object{"clientId": o.ClientID, "redirectUri": o.RedirectURI}).Accounts
	must(accounts != nil, "accounts")
	return accounts
}

// ofHome chooses the home tenant's record, or the first.
func ofHome(accounts []object) object {
	isHome := func(a object) bool {
		return strings.HasSuffix(fmt.Sprint(a["homeAccountId"]), "."+fmt.Sprint(a["realm"]))
	}
	if best := append(keep(accounts, isHome), accounts...); len(best) > 0 {
		return best[0]
	}
	return nil
}

func (o *operation) findAccount() object {
	return ofHome(keep(o.accounts(), func(a object) bool {
		return strings.EqualFold(fmt.Sprint(a["username"]), o.Username) && (o.Tenant == "" || a["realm"] == o.Tenant)
	}))
}

func (o *operation) acquireTokenSilently() object {
	account := o.Account
	if account == nil {
		accounts := o.accounts()
		same := func(a object) bool { return a["homeAccountId"] == accounts[0]["homeAccountId"] }
		if len(keep(accounts, same)) == len(accounts) {
			account = ofHome(accounts)
		}
	}
	request := object{"authParameters": o.authParameters(silent, account, "", o.authority(o.Account))}
	token := o.call("acquireTokenSilently", request).BrokerTokenResponse
	return token.outcome(o.Scopes, account)
}

func (o *operation) acquireTokenInteractively() object {
	account, hint := o.Account, o.LoginHint
	if o.Prompt == "select_account" {
		account, hint = nil, ""
	}
	if account != nil {
		o.ExtraQueryParameters["hsu"] = "1"
	}
	parameters := o.authParameters(interactive, account, hint, o.authority(account))
	parameters["parentWindow"] = object{"handle": o.ParentWindowHandle}
	if o.Prompt != "" {
		parameters["prompt"] = o.Prompt
	}
	request := object{"authParameters": parameters, "parentWindowHandle": o.ParentWindowHandle}
	call := o.start(context.Background(), "acquireTokenInteractively", o.correlationID, request)
	select {
	case <-call.Done:
	case <-o.canceled:
		o.start(context.Background(), "cancelInteractiveFlow", newUUID(), cancelRequest)
		<-call.Done
	}
	token := parse(call).BrokerTokenResponse
	return token.outcome(o.Scopes, account)
}

func (o *operation) acquireTokenByUsernamePassword() object {
	parameters := o.authParameters(password, nil, o.Username, o.authority(nil))
	parameters["password"] = o.Password
	token := o.call("acquireTokenSilently", object{"authParameters": parameters}).BrokerTokenResponse
	return token.outcome(o.Scopes, nil)
}

func (o *operation) acquirePrtSsoCookie() object {
	parameters := o.authParameters(cookie, o.Account, "", o.authority(nil))
	parameters["ssoUrl"] = o.SsoURL
	request := object{"account": o.Account, "authParameters": parameters, "ssoUrl": o.SsoURL}
	answer := o.call("acquirePrtSsoCookie", request)
	if answer.CookieItems == nil {
		answer.CookieItems = []reply{answer}
	}
	cookies := []object{}
	for _, item := range answer.CookieItems {
		must(item.CookieName != "" && item.CookieContent != "", "cookie")
		cookies = append(cookies, object{"name": item.CookieName, "content": item.CookieContent})
	}
	must(len(cookies) > 0, "cookie")
	return object{"cookies": cookies}
}

func (o *operation) generateSignedHTTPRequest() object {
	params := o.popParams()
	params["authenticationScheme"], params["homeAccountId"] = "pop", fmt.Sprint(o.Account["homeAccountId"])
	signed := o.call("generateSignedHttpRequest", object{"clientId": o.ClientID, "popParams": params}).SignedHTTPRequest
	must(signed != "", "signed request")
	return object{"signedHttpRequest": signed}
}

func (o *operation) isAvailable() bool {
	ctx, stop := o.limit()
	defer stop()
	return o.conn.Object(name, path).CallWithContext(ctx, bus+".Peer.Ping", 0).Err == nil
}

func (o *operation) watchPresence() {
	signals, online := make(chan *dbus.Signal, 8), false
	tell := func(now bool) {
		online = now
		say(object{"id": o.ID, "presence": map[bool]string{true: "online", false: "offline"}[now]})
	}
	match := []dbus.MatchOption{dbus.WithMatchInterface(bus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name)}
	o.conn.Signal(signals)
	defer o.conn.RemoveSignal(signals)
	o.conn.AddMatchSignal(match...)
	defer o.conn.RemoveMatchSignal(match...)
	o.conn.BusObject().Call(bus+".NameHasOwner", 0, name).Store(&online)
	tell(online)
	for {
		select {
		case <-o.canceled:
			return
		case signal := <-signals:
			if signal.Name != bus+".NameOwnerChanged" || signal.Body[0] != name {
				continue
			}
			for index, now := range []bool{false, true} {
				if signal.Body[1+index] != "" && now != online {
					tell(now)
				}
			}
		}
	}
}

func (o *operation) run() object {
	switch o.Operation {
	case "getAccounts":
		return object{"accounts": o.accounts()}
	case "findAccount":
		return object{"account": o.findAccount()}
	case "getLinuxBrokerVersion":
		version := o.call("getLinuxBrokerVersion", object{"msalCppVersion": "12.0.2"}).LinuxBrokerVersion
		must(version != "", "version")
		return object{"version": version}
	case "acquireTokenSilently":
		return o.acquireTokenSilently()
	case "acquireTokenInteractively":
		return o.acquireTokenInteractively()
	case "acquireTokenByUsernamePassword":
		return o.acquireTokenByUsernamePassword()
	case "acquirePrtSsoCookie":
		return o.acquirePrtSsoCookie()
	case "generateSignedHttpRequest":
		return o.generateSignedHTTPRequest()
	case "removeAccount":
		o.call("removeAccount", object{"clientId": o.ClientID, "account": o.Account})
		return object{"removed": true}
	case "isAvailable":
		return object{"available": o.isAvailable()}
	case "watchPresence":
		o.watchPresence()
	}
	return nil
}

func (o *operation) outcome() (outcome object) {
	defer func() {
		reason := recover()
		if failed, ok := reason.(failure); ok {
			outcome = object{"error": failed}
		} else if reason != nil {
			panic(reason)
		}
		select {
		case <-o.canceled:
			outcome = object{"canceled": true}
		default:
		}
	}()
	return o.run()
}

func newUUID() string {
	id := make([]byte, 16)
	rand.Read(id)
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func say(line object) { json.NewEncoder(os.Stdout).Encode(line) }

func main() {
	conn, err := dbus.ConnectSessionBus(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		log.Fatal(err)
	}
	pending := map[string]*operation{}
	lines := json.NewDecoder(os.Stdin)
	lines.UseNumber()
	for {
		asked := &operation{conn: conn, correlationID: newUUID(), canceled: make(chan struct{}), TimeLimit: 120,
			ExtraQueryParameters: map[string]string{}}
		if lines.Decode(asked) != nil {
			return
		}
		if canceled := pending[asked.Cancels]; canceled != nil {
			close(canceled.canceled)
			delete(pending, asked.Cancels)
		} else {
			pending[asked.ID] = asked
			go func() { say(object{"id": asked.ID, "outcome": asked.outcome()}) }()
		}
	}
}
