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
	"github.com/samber/lo"
)

const (
	name, path                            = "com.microsoft.identity.broker1", "/com/microsoft/identity/broker1"
	bus, iface                            = "org.freedesktop.DBus", "com.microsoft.identity.Broker1"
	silent, password, interactive, cookie = 1, 3, 6, 8
)

type object = map[string]any

var (
	statuses = strings.Fields(`Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
		ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
		InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError
		AccountSwitch DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`)
	tagAlphabet   = "abcdefghijklmnopqrstuvwxyz0123456789" + strings.Repeat("?", 64-36)
	tokenTypes    = map[string]string{"<nil>": "Bearer", "0": "Bearer", "bearer": "Bearer", "1": "pop", "pop": "pop"}
	hostAliases   = regexp.MustCompile(`//(login|sts)\.windows\.net`)
	anyTenant     = regexp.MustCompile(`(?i)/(common|organizations)$`)
	cancelRequest = object{"error": object{"errorCode": 0, "status": 7, "subStatus": 0, "tag": 579379414,
		"context": "The InteractiveRequest was canceled on behalf of the user", "diagnostics": nil}}
	// A pattern for an error's name and text, and its family or status. The first that fits counts; if none: Unexpected.
	callErrors = [][2]string{
		{`^(Timeout|context deadline exceeded)\s`, "timeout"},
		{`^(NoReply|Disconnected|dbus: connection closed.*)\s`, "disconnected"},
		{`^(ServiceUnknown|NameHasNoOwner|Spawn\.ServiceNotFound)\s`, "absent"},
		{`^(Spawn\.\w+|TimedOut)\s`, "start"},
		{`^(Unknown(Method|Interface|Object)|NotSupported|InvalidArgs)\s|(?i)not implemented`, "unsupported"},
		{`(?i)broker socket connect`, "TransientError"},
		{`AADSTS(16000|500(55|58|72|74|76|78|79)|501(26|32|33|44|58|73)|65001|70008|7004[34]|70008[24])\b`, "InteractionRequired"},
	}
)

// An operation is what a line asks for. Its context ends when the application gives up on it.
type operation struct {
	ID, Operation, Cancels, ClientID, RedirectURI, Authority, Username, Password, Tenant, LoginHint string
	Prompt, SsoURL, Claims, AccessTokenToRenew, correlationID                                       string
	Scopes                                                                                          []string
	ExtraQueryParameters, Pop                                                                       map[string]string
	Account                                                                                         object
	ParentWindowHandle, TimeLimit                                                                   float64
	context, limited                                                                                context.Context
	conn                                                                                            *dbus.Conn
}

// A reply has the keys of all replies, and of the objects in them.
type reply struct {
	LinuxBrokerVersion, SignedHTTPRequest, CookieName, CookieContent string
	AccessToken, ClientInfo, IDToken, SubError, Context              string
	AccessTokenType, GrantedScopes, ExpiresOn                        any
	Status, Tag                                                      int
	Account                                                          object
	Accounts                                                         []object
	CookieItems                                                      []reply
	BrokerTokenResponse, Error                                       *reply
}

// must panics, as the rest does, with what the driver says of a failed call: nothing secret. An empty list is a value.
func must[T any](value T, what string) T {
	if lo.EmptyableToPtr(value) == nil {
		panic(object{"family": "malformed", "message": "The broker's reply makes no sense: it has no " + what})
	}
	return value
}

// failure is of a kind that is a status of the broker's, or else a family; of the text it holds the codes only.
func failure(kind, text, tag, subError string) object {
	codes := lo.Uniq(regexp.MustCompile(`AADSTS\d+`).FindAllString(text, -1))
	family, message := lo.Ternary(lo.Contains(statuses, kind), "broker", kind), fmt.Sprint("failed: ", kind, " ", tag, codes)
	return object{"family": family, "message": message, "status": kind, "tag": tag, "subError": subError, "codes": codes}
}

func tagName(tag int) string {
	letters := lo.Map([]int{24, 18, 12, 6, 0}, func(shift, _ int) string { return tagAlphabet[tag>>shift&63:][:1] })
	return lo.Ternary(tag <= 0 || lo.Contains(letters, "?"), "", strings.Join(letters, ""))
}

// parse reads a reply, or panics with the error that it holds. What makes no sense in it is not read.
func parse(call *dbus.Call) (parsed reply) {
	if call.Err != nil {
		replied, _ := call.Err.(dbus.Error)
		text := strings.TrimLeft(fmt.Sprintln(strings.TrimPrefix(replied.Name, bus+".Error."), call.Err), " ")
		row, _ := lo.Find(callErrors, func(row [2]string) bool { return regexp.MustCompile(row[0]).MatchString(text) })
		panic(failure(lo.CoalesceOrEmpty(row[1], statuses[0]), text, "", ""))
	}
	json.Unmarshal([]byte(fmt.Sprint(call.Body...)), &parsed)
	token := lo.FromPtr(parsed.BrokerTokenResponse)
	if reported := lo.CoalesceOrEmpty(parsed.Error, token.Error); reported != nil {
		status := statuses[lo.Ternary(reported.Status > 0 && reported.Status < len(statuses), reported.Status, 0)]
		panic(failure(status, reported.Context, tagName(reported.Tag), token.SubError))
	}
	return parsed
}

func decode(text string) (decoded object) {
	bytes, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	json.Unmarshal(lo.Ternary(err == nil, bytes, []byte(text)), &decoded)
	return decoded
}

func claimsOf(jwt string) object { return decode(strings.Split(jwt+".", ".")[1]) }

func (r reply) accountOfToken() object {
	user, home := claimsOf(r.IDToken), decode(r.ClientInfo)
	account := object{"homeAccountId": fmt.Sprint(home["uid"], ".", home["utid"]), "localAccountId": user["oid"],
		"realm": user["tid"], "environment": "login.windows.net", "username": user["preferred_username"]}
	return lo.Ternary(user["tid"] == nil || home["uid"] == nil, nil, account)
}

// token is what a reply to a request for these scopes holds, with this account or nil.
func (r reply) token(requested []string, account object) object {
	tokenType := must(tokenTypes[strings.ToLower(fmt.Sprint(r.AccessTokenType))], "token of a known type")
	claimed, _ := claimsOf(must(r.AccessToken, "token"))["exp"].(float64)
	given, _ := json.Number(fmt.Sprint(r.ExpiresOn)).Float64()
	exp := must(lo.Max([]float64{lo.CoalesceOrEmpty(claimed, given), 0}), "time at which the token expires")
	granted := lo.Without(strings.Fields(strings.Trim(fmt.Sprint(r.GrantedScopes), "[]")), "<nil>") // A list prints as [a b].
	scopes := lo.Ternary(len(granted) == 0, requested, granted)
	folded := strings.Fields(strings.ToLower(strings.Join(scopes, " ")))
	declined := lo.Reject(requested, func(each string, _ int) bool { return lo.Contains(folded, strings.ToLower(each)) })
	if len(declined) > 0 {
		message := fmt.Sprint("The broker did not grant these scopes, ask for consent: ", declined)
		panic(object{"family": "declined", "message": message, "status": statuses[6], "declinedScopes": declined})
	}
	account, _ = lo.Find([]object{r.Account, account, r.accountOfToken()}, func(each object) bool { return each != nil })
	return object{"token": object{"accessToken": r.AccessToken, "tokenType": tokenType, "scopes": scopes,
		"expiresOn": int64(exp / lo.Ternary(exp < 1e11, 1.0, 1000.0)), "idToken": r.IDToken, "account": account}}
}

func withoutEmpty(values object) object {
	return lo.OmitBy(values, func(_ string, value any) bool { return value == nil || value == "" || value == false })
}

func (o *operation) authority(account object) string {
	authority := hostAliases.ReplaceAllString(strings.TrimRight(o.Authority, "/"), "//login.microsoftonline.com")
	return lo.Ternary(account == nil, authority, anyTenant.ReplaceAllString(authority, fmt.Sprint("/", account["realm"])))
}

func (o *operation) popParams(scheme string, account any) object {
	address := lo.Must(url.Parse(o.Pop["url"]))
	return withoutEmpty(object{"httpMethod": o.Pop["httpMethod"], "uriHost": address.Host, "uriPath": address.EscapedPath(),
		"nonce": o.Pop["nonce"], "clientClaims": o.Pop["clientClaims"], "kid": o.Pop["kid"],
		"authenticationScheme": scheme, "homeAccountId": account})
}

// authParameters are for the operation's account, or for a sign-in if that is nil.
func (o *operation) authParameters(kind int, authority string) object {
	chosen := kind == interactive && o.Account != nil
	extra := lo.Assign(o.ExtraQueryParameters, lo.Ternary(chosen, map[string]string{"hsu": "1"}, nil))
	pop := lo.Ternary(o.Pop == nil, nil, o.popParams(lo.Ternary(o.Pop["kid"] == "", "", "pop"), nil))
	if extra["req_cnf"] != "" {
		pop = object{"kid": decode(extra["req_cnf"])["kid"]}
		if delete(extra, "req_cnf"); pop["kid"] == nil {
			panic(failure("ApiContractViolation", "", "5epa8", ""))
		}
	}
	return withoutEmpty(object{"account": o.Account, "authority": authority, "authorizationType": kind, "popParams": pop,
		"accessTokenToRenew": o.AccessTokenToRenew, "clientId": o.ClientID, "decodedClaims": o.Claims, "password": o.Password,
		"isSignIn": o.Account == nil, "prompt": o.Prompt, "redirectUri": o.RedirectURI, "requestedScopes": o.Scopes,
		"username": lo.Ternary[any](o.Account == nil, o.Username+o.LoginHint, o.Account["username"]), "ssoUrl": o.SsoURL,
		"parentWindow": object{"handle": o.ParentWindowHandle}, "additionalQueryParametersForAuthorization": extra})
}

func (o *operation) start(ctx context.Context, member, correlationID string, request object) *dbus.Call {
	body := lo.Must(json.Marshal(withoutEmpty(request)))
	return o.conn.Object(name, path).GoWithContext(ctx, iface+"."+member, 0, nil, "0.0", correlationID, string(body))
}

func (o *operation) call(member string, request object) reply {
	return parse(<-o.start(o.limited, member, o.correlationID, request).Done)
}

func (o *operation) accounts() []object {
	return must(o.call("getAccounts", object{"clientId": o.ClientID, "redirectUri": o.RedirectURI}).Accounts, "accounts")
}

// ofHome chooses the home tenant's record, or the first.
func ofHome(accounts []object) object {
	isHome := func(a object) bool {
		return strings.HasSuffix(fmt.Sprint(a["homeAccountId"]), fmt.Sprint(".", a["realm"]))
	}
	return lo.FindOrElse(accounts, lo.FirstOrEmpty(accounts), isHome)
}

// acquireToken makes the call, which has no limit if it is interactive; that one can be cancelled.
func (o *operation) acquireToken(method string, kind int, authority string) object {
	request := object{"authParameters": o.authParameters(kind, authority), "parentWindowHandle": o.ParentWindowHandle}
	call := o.start(lo.Ternary(kind == interactive, context.Background(), o.limited), method, o.correlationID, request)
	select {
	case <-call.Done:
	case <-o.context.Done():
		o.start(context.Background(), "cancelInteractiveFlow", uuid.NewString(), cancelRequest)
		<-call.Done
	}
	return lo.FromPtr(parse(call).BrokerTokenResponse).token(o.Scopes, o.Account)
}

func (o *operation) watch() {
	signals, online := make(chan *dbus.Signal, 8), false
	o.conn.Signal(signals)
	defer o.conn.RemoveSignal(signals)
	o.conn.AddMatchSignal(dbus.WithMatchInterface(bus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, name))
	o.conn.BusObject().Call(bus+".NameHasOwner", 0, name).Store(&online)
	for told := ""; o.context.Err() == nil; {
		if now := lo.Ternary(online, "online", "offline"); now != told {
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

func (o *operation) run() object {
	switch o.Operation {
	case "getAccounts":
		return object{"accounts": o.accounts()}
	case "findAccount":
		return object{"account": ofHome(lo.Filter(o.accounts(), func(a object, _ int) bool {
			return strings.EqualFold(fmt.Sprint(a["username"]), o.Username) && (o.Tenant == "" || a["realm"] == o.Tenant)
		}))}
	case "getLinuxBrokerVersion":
		return object{"version": must(o.call(o.Operation, object{"msalCppVersion": "12.0.2"}).LinuxBrokerVersion, "version")}
	case "acquireTokenSilently", "acquireTokenByUsernamePassword":
		authority, kind := o.authority(o.Account), lo.Ternary(o.Operation == "acquireTokenSilently", silent, password)
		if o.Account == nil && kind == silent {
			users := lo.GroupBy(o.accounts(), func(a object) string { return fmt.Sprint(a["homeAccountId"]) })
			o.Account = lo.Ternary(len(users) == 1, ofHome(lo.Flatten(lo.Values(users))), nil)
		}
		return o.acquireToken("acquireTokenSilently", kind, authority)
	case "acquireTokenInteractively":
		if o.Prompt == "select_account" {
			o.Account, o.LoginHint = nil, ""
		}
		return o.acquireToken("acquireTokenInteractively", interactive, o.authority(o.Account))
	case "acquirePrtSsoCookie":
		request := object{"account": o.Account, "authParameters": o.authParameters(cookie, o.authority(nil)), "ssoUrl": o.SsoURL}
		answer := o.call(o.Operation, request)
		cookies := lo.FilterMap(append(answer.CookieItems, answer), func(r reply, _ int) (object, bool) {
			return object{"name": r.CookieName, "content": r.CookieContent}, r.CookieName != "" && r.CookieContent != ""
		})
		return object{"cookies": must(lo.Ternary(len(cookies) == 0, nil, cookies), "cookie")}
	case "generateSignedHttpRequest":
		request := object{"clientId": o.ClientID, "popParams": o.popParams("pop", o.Account["homeAccountId"])}
		return object{"signedHttpRequest": must(o.call(o.Operation, request).SignedHTTPRequest, "signed request")}
	case "removeAccount":
		o.call(o.Operation, object{"clientId": o.ClientID, "account": o.Account})
		return object{"removed": true}
	case "isAvailable":
		return object{"available": o.conn.Object(name, path).CallWithContext(o.limited, bus+".Peer.Ping", 0).Err == nil}
	}
	o.watch()
	return nil
}

func (o *operation) answer() {
	var stop context.CancelFunc
	o.limited, stop = context.WithTimeout(context.Background(), time.Duration(o.TimeLimit*float64(time.Second)))
	defer stop()
	o.Scopes = lo.Without(strings.Fields(strings.Join(o.Scopes, " ")), "openid", "profile", "offline_access")
	said := object{}
	lo.TryCatchWithErrorValue(func() error { said = o.run(); return nil }, func(e any) { said = object{"error": e.(object)} })
	say(object{"id": o.ID, "outcome": lo.Ternary(o.context.Err() == nil, said, object{"canceled": true})})
}

func say(line object) { json.NewEncoder(os.Stdout).Encode(line) }

func main() {
	conn := lo.Must(dbus.ConnectSessionBus(dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())))
	pending, lines := map[string]context.CancelFunc{}, json.NewDecoder(os.Stdin)
	fresh := func() *operation { return &operation{conn: conn, correlationID: uuid.NewString(), TimeLimit: 120} }
	for asked := fresh(); lines.Decode(asked) == nil; asked = fresh() {
		if giveUp := pending[asked.Cancels]; giveUp != nil {
			giveUp()
			continue
		}
		asked.context, pending[asked.ID] = context.WithCancel(context.Background())
		go asked.answer()
	}
}
