// A client of the Linux identity broker, written from PROTOCOL.md, as the driver that CONFORMANCE.md asks for.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/uuid"
)

const (
	name, path                            = "com.microsoft.identity.broker1", "/com/microsoft/identity/broker1"
	bus, iface                            = "org.freedesktop.DBus", "com.microsoft.identity.Broker1"
	tagAlphabet                           = "abcdefghijklmnopqrstuvwxyz0123456789"
	silent, password, interactive, cookie = 1, 3, 6, 8
)

var (
	statuses = strings.Fields(`Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
		ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
		InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError
		AccountSwitch DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`)
	tokenTypes    = map[string]string{"<nil>": "Bearer", "0": "Bearer", "bearer": "Bearer", "1": "pop", "pop": "pop"}
	codePattern   = regexp.MustCompile(`AADSTS\d+`)
	hostAliases   = regexp.MustCompile(`//(login|sts)\.windows\.net`)
	anyTenant     = regexp.MustCompile(`(?i)/(common|organizations)$`)
	cancelRequest = object{"error": object{"errorCode": 0, "status": 7, "subStatus": 0, "tag": 579379414,
		"context": "The InteractiveRequest was canceled on behalf of the user", "diagnostics": nil}}
	// A pattern for an error's name and text, and its family, or its status. The first row that fits counts.
	callErrors = [][2]string{
		{`^(Timeout|context deadline exceeded) `, "timeout"},
		{`^(NoReply|Disconnected|dbus: connection closed.*) `, "disconnected"},
		{`^(ServiceUnknown|NameHasNoOwner|Spawn\.ServiceNotFound) `, "absent"},
		{`^(Spawn\.\w+|TimedOut) `, "start"},
		{`^(Unknown(Method|Interface|Object)|NotSupported|InvalidArgs) |(?i)not implemented`, "unsupported"},
		{`(?i)broker socket connect`, "TransientError"},
		{`AADSTS(16000|50055|50058|50072|50074|50076|50078|50079|50126|50132|50133|50144|50158|50173|65001|70008|` +
			`70043|70044|700082|700084)\b`, "InteractionRequired"},
		{``, "Unexpected"},
	}
)

type object = map[string]any

// An operation is what a line asks for. Its context ends when the application gives up on it.
type operation struct {
	ID, Operation, Cancels, ClientID, RedirectURI, Authority, Username, Password, Tenant, LoginHint string
	Prompt, SsoURL, Claims, AccessTokenToRenew                                                      string
	Scopes                                                                                          []string
	ExtraQueryParameters, Pop                                                                       map[string]string
	Account                                                                                         object
	ParentWindowHandle                                                                              int
	TimeLimit                                                                                       float64
	context, limited                                                                                context.Context
	correlationID                                                                                   string
	conn                                                                                            *dbus.Conn
}

// A reply has the keys of all replies, and of what is in them.
type reply struct {
	LinuxBrokerVersion, SignedHTTPRequest, CookieName, CookieContent string
	AccessToken, ClientInfo, IDToken, SubError, Context              string
	Accounts                                                         []object
	CookieItems                                                      []reply
	BrokerTokenResponse, Error                                       *reply
	AccessTokenType, GrantedScopes                                   any
	ExpiresOn                                                        json.Number
	Account                                                          object
	Status, Tag                                                      int
}

// A failure is what the driver says of a failed call: nothing secret, of the broker's texts only the codes.
type failure object

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
	return keep(list, func(each string) bool { return strings.EqualFold(each, word) }) != nil
}

func brokerFailure(status, context, tag, subError string) failure {
	codes := []string{}
	for _, code := range codePattern.FindAllString(context, -1) {
		if !isIn(codes, code) {
			codes = append(codes, code)
		}
	}
	message := fmt.Sprintf("The broker failed: %s %s %v", status, tag, codes)
	return failure{"family": "broker", "message": message, "status": status, "tag": tag, "codes": codes, "subError": subError}
}

func failureOf(err error) failure {
	text := err.Error() + " "
	if reply, ok := err.(dbus.Error); ok {
		text = strings.TrimPrefix(reply.Name, bus+".Error.") + " " + text
	}
	row := keep(callErrors, func(row [2]string) bool { return regexp.MustCompile(row[0]).MatchString(text) })[0]
	if isIn(statuses, row[1]) {
		return brokerFailure(row[1], text, "", "")
	}
	return failure{"family": row[1], "message": "The call of the broker failed: " + row[1]}
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

// parse reads a reply, or panics with the error that it holds. What makes no sense in it is not read.
func parse(call *dbus.Call) (parsed reply) {
	if call.Err != nil {
		panic(failureOf(call.Err))
	}
	decoder := json.NewDecoder(strings.NewReader(fmt.Sprint(call.Body...)))
	decoder.UseNumber()
	decoder.Decode(&parsed)
	if parsed.BrokerTokenResponse == nil {
		parsed.BrokerTokenResponse = &reply{}
	}
	for _, reported := range []*reply{parsed.Error, parsed.BrokerTokenResponse.Error} {
		if reported != nil {
			status, tag, subError := statuses[0], tagName(reported.Tag), parsed.BrokerTokenResponse.SubError
			if reported.Status > 0 && reported.Status < len(statuses) {
				status = statuses[reported.Status]
			}
			panic(brokerFailure(status, reported.Context, tag, subError))
		}
	}
	return parsed
}

func decode(base64url string) (decoded object) {
	text, _ := base64.RawURLEncoding.DecodeString(base64url)
	json.Unmarshal(text, &decoded)
	return decoded
}

func claimsOf(jwt string) object { return decode(strings.Split(jwt+".", ".")[1]) }

func (r *reply) ownAccount() object {
	user, home := claimsOf(r.IDToken), decode(r.ClientInfo)
	if r.Account != nil || user["tid"] == nil || home["uid"] == nil {
		return r.Account
	}
	return object{"homeAccountId": fmt.Sprint(home["uid"], ".", home["utid"]), "localAccountId": user["oid"],
		"realm": user["tid"], "environment": "login.windows.net", "username": user["preferred_username"], "name": user["name"]}
}

func (r *reply) token(o *operation) object {
	tokenType := tokenTypes[strings.ToLower(fmt.Sprint(r.AccessTokenType))]
	must(r.AccessToken != "" && tokenType != "", "token of a known type")
	expiresOn, _ := claimsOf(r.AccessToken)["exp"].(float64)
	if expiresOn == 0 {
		expiresOn, _ = r.ExpiresOn.Float64()
	}
	if must(expiresOn > 0, "time at which the token expires"); expiresOn >= 1e11 {
		expiresOn /= 1000
	}
	scopes := strings.Fields(strings.Trim(fmt.Sprint(r.GrantedScopes), "[]")) // A list prints as [a b].
	if r.GrantedScopes == nil || len(scopes) == 0 {
		scopes = o.Scopes
	}
	if declined := keep(o.Scopes, func(scope string) bool { return !isIn(scopes, scope) }); declined != nil {
		message := fmt.Sprint("The broker did not grant these scopes, ask for consent: ", declined)
		panic(failure{"family": "declined", "message": message, "status": statuses[6], "declinedScopes": declined})
	}
	if r.Account == nil && o.Account != nil {
		r.Account = o.Account
	}
	return object{"token": object{"accessToken": r.AccessToken, "tokenType": tokenType, "expiresOn": int64(expiresOn),
		"scopes": scopes, "idToken": r.IDToken, "account": r.ownAccount()}}
}

// filled leaves out what is empty.
func filled(values object) object {
	for key, value := range values {
		if value == nil || value == "" || value == false || value == 0 {
			delete(values, key)
		}
	}
	return values
}

func (o *operation) authority(account object) string {
	authority := hostAliases.ReplaceAllString(strings.TrimRight(o.Authority, "/"), "//login.microsoftonline.com")
	if account == nil {
		return authority
	}
	return anyTenant.ReplaceAllString(authority, fmt.Sprint("/", account["realm"]))
}

func (o *operation) popParams() object {
	address, err := url.Parse(o.Pop["url"])
	if err != nil {
		panic(err)
	}
	params := object{"httpMethod": o.Pop["httpMethod"], "uriHost": address.Host, "uriPath": address.EscapedPath(),
		"nonce": o.Pop["nonce"], "clientClaims": o.Pop["clientClaims"], "kid": o.Pop["kid"]}
	if o.Pop["kid"] != "" {
		params["authenticationScheme"] = "pop"
	}
	return filled(params)
}

// authParameters are for the operation's account, or for a sign-in if that is nil.
func (o *operation) authParameters(kind int, authority string) object {
	username, extra := o.Username+o.LoginHint, o.ExtraQueryParameters
	if o.Account != nil {
		username = fmt.Sprint(o.Account["username"])
	}
	parameters := object{
		"accessTokenToRenew": o.AccessTokenToRenew, "account": o.Account, "authority": authority, "authorizationType": kind,
		"clientId": o.ClientID, "decodedClaims": o.Claims, "isSignIn": o.Account == nil, "password": o.Password,
		"prompt": o.Prompt, "redirectUri": o.RedirectURI, "requestedScopes": o.Scopes, "ssoUrl": o.SsoURL,
		"username": username, "additionalQueryParametersForAuthorization": extra,
	}
	if kind == interactive {
		parameters["parentWindow"] = object{"handle": o.ParentWindowHandle}
	}
	if kind == interactive && o.Account != nil {
		extra["hsu"] = "1"
	}
	if o.Pop != nil {
		parameters["popParams"] = o.popParams()
	}
	if confirmation := extra["req_cnf"]; confirmation != "" {
		key := decode(confirmation)
		json.Unmarshal([]byte(confirmation), &key)
		parameters["popParams"] = object{"kid": key["kid"]}
		delete(extra, "req_cnf")
	}
	return filled(parameters)
}

func (o *operation) start(ctx context.Context, member, correlationID string, request object) *dbus.Call {
	body, _ := json.Marshal(filled(request))
	done := make(chan *dbus.Call, 1)
	return o.conn.Object(name, path).GoWithContext(ctx, iface+"."+member, 0, done, "0.0", correlationID, string(body))
}

func (o *operation) call(member string, request object) reply {
	return parse(<-o.start(o.limited, member, o.correlationID, request).Done)
}

func (o *operation) accounts() []object {
	accounts := o.call("getAccounts", object{"clientId": o.ClientID, "redirectUri": o.RedirectURI}).Accounts
	must(accounts != nil, "accounts")
	return accounts
}

// ofHome chooses the home tenant's record, or the first.
func ofHome(accounts []object) object {
	isHome := func(a object) bool {
		return strings.HasSuffix(fmt.Sprint(a["homeAccountId"]), fmt.Sprint(".", a["realm"]))
	}
	return append(append(keep(accounts, isHome), accounts...), nil)[0]
}

func (o *operation) soleAccount() object {
	accounts := o.accounts()
	other := func(a object) bool { return a["homeAccountId"] != accounts[0]["homeAccountId"] }
	if keep(accounts, other) != nil {
		return nil
	}
	return ofHome(accounts)
}

func (o *operation) signIn() *reply {
	if o.Prompt == "select_account" {
		o.Account, o.LoginHint = nil, ""
	}
	parameters := o.authParameters(interactive, o.authority(o.Account))
	request := object{"authParameters": parameters, "parentWindowHandle": o.ParentWindowHandle}
	call := o.start(context.Background(), "acquireTokenInteractively", o.correlationID, request)
	select {
	case <-call.Done:
	case <-o.context.Done():
		o.start(context.Background(), "cancelInteractiveFlow", uuid.NewString(), cancelRequest)
		<-call.Done
	}
	return parse(call).BrokerTokenResponse
}

func (o *operation) watch() {
	signals, online, told := make(chan *dbus.Signal, 8), false, ""
	o.conn.Signal(signals)
	defer o.conn.RemoveSignal(signals)
	o.conn.AddMatchSignal(dbus.WithMatchInterface(bus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name))
	o.conn.BusObject().Call(bus+".NameHasOwner", 0, name).Store(&online)
	for o.context.Err() == nil {
		if now := map[bool]string{true: "online", false: "offline"}[online]; now != told {
			say(object{"id": o.ID, "presence": now})
			told = now
		}
		select {
		case <-o.context.Done():
		case signal := <-signals:
			online = len(signal.Body) == 3 && signal.Body[2] != ""
		}
	}
}

func (o *operation) run() (outcome object) {
	defer func() {
		if reason := recover(); reason != nil {
			outcome = object{"error": reason.(failure)}
		}
	}()
	client := object{"clientId": o.ClientID}
	switch o.Operation {
	case "getAccounts":
		return object{"accounts": o.accounts()}
	case "findAccount":
		return object{"account": ofHome(keep(o.accounts(), func(a object) bool {
			return strings.EqualFold(fmt.Sprint(a["username"]), o.Username) && (o.Tenant == "" || a["realm"] == o.Tenant)
		}))}
	case "getLinuxBrokerVersion":
		version := o.call("getLinuxBrokerVersion", object{"msalCppVersion": "12.0.2"}).LinuxBrokerVersion
		must(version != "", "version")
		return object{"version": version}
	case "acquireTokenSilently":
		authority := o.authority(o.Account)
		if o.Account == nil {
			o.Account = o.soleAccount()
		}
		request := object{"authParameters": o.authParameters(silent, authority)}
		return o.call("acquireTokenSilently", request).BrokerTokenResponse.token(o)
	case "acquireTokenByUsernamePassword":
		request := object{"authParameters": o.authParameters(password, o.authority(nil))}
		return o.call("acquireTokenSilently", request).BrokerTokenResponse.token(o)
	case "acquireTokenInteractively":
		return o.signIn().token(o)
	case "acquirePrtSsoCookie":
		parameters := o.authParameters(cookie, o.authority(nil))
		answer := o.call("acquirePrtSsoCookie", object{"account": o.Account, "authParameters": parameters, "ssoUrl": o.SsoURL})
		cookies := []object{}
		for _, each := range append(answer.CookieItems, answer) {
			if each.CookieName != "" && each.CookieContent != "" {
				cookies = append(cookies, object{"name": each.CookieName, "content": each.CookieContent})
			}
		}
		must(len(cookies) > 0, "cookie")
		return object{"cookies": cookies}
	case "generateSignedHttpRequest":
		params := o.popParams()
		params["authenticationScheme"], params["homeAccountId"] = "pop", o.Account["homeAccountId"]
		client["popParams"] = params
		signed := o.call("generateSignedHttpRequest", client).SignedHTTPRequest
		must(signed != "", "signed request")
		return object{"signedHttpRequest": signed}
	case "removeAccount":
		client["account"] = o.Account
		o.call("removeAccount", client)
		return object{"removed": true}
	case "isAvailable":
		return object{"available": o.conn.Object(name, path).CallWithContext(o.limited, bus+".Peer.Ping", 0).Err == nil}
	}
	o.watch()
	return nil
}

func say(line object) { json.NewEncoder(os.Stdout).Encode(line) }

func (o *operation) answer() {
	var stop context.CancelFunc
	o.limited, stop = context.WithTimeout(context.Background(), time.Duration(o.TimeLimit*float64(time.Second)))
	defer stop()
	outcome := o.run()
	if o.context.Err() != nil {
		outcome = object{"canceled": true}
	}
	say(object{"id": o.ID, "outcome": outcome})
}

func main() {
	conn, err := dbus.ConnectSessionBus(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		panic(err)
	}
	pending := map[string]context.CancelFunc{}
	for lines := json.NewDecoder(os.Stdin); ; {
		asked := &operation{conn: conn, correlationID: uuid.NewString(), TimeLimit: 120, ExtraQueryParameters: map[string]string{}}
		lines.UseNumber()
		if lines.Decode(asked) != nil {
			return
		}
		if giveUp := pending[asked.Cancels]; giveUp != nil {
			giveUp()
			continue
		}
		asked.context, pending[asked.ID] = context.WithCancel(context.Background())
		go asked.answer()
	}
}
