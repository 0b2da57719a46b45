// A client of the Linux identity broker, written from PROTOCOL.md, as the driver that CONFORMANCE.md asks for.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/uuid"
	"github.com/samber/lo"
)

const (
	name, path                            = "com.microsoft.identity.broker1", "/com/microsoft/identity/broker1"
	bus, iface, personal                  = "org.freedesktop.DBus", "com.microsoft.identity.Broker1", "9188040d-6c67-4c5b-b112-36a304b66dad"
	silent, password, interactive, cookie = 1, 3, 6, 8
)

type object = map[string]any

var (
	hostAliases   = regexp.MustCompile(`//(login|sts)\.windows\.net`)
	realmPattern  = regexp.MustCompile(`(?i)^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|([0-9a-z]([0-9a-z-]*[0-9a-z])?\.)+[a-z]([0-9a-z-]*[0-9a-z])?)$`)
	refusedBy     atomic.Value // The unique name of the owner that wants an account for a sign-in.
	anyTenant     = regexp.MustCompile(`(?i)/(common|organizations)$`)
	cancelRequest = object{"error": object{"errorCode": 0, "status": 7, "subStatus": 0, "tag": 579379414,
		"context": "The InteractiveRequest was canceled on behalf of the user", "diagnostics": nil}}
)

// An operation is what a line asks for. Its context ends when the application gives up on it.
type operation struct {
	ID, Operation, Cancels, ClientID, RedirectURI, Authority, Username, Password, Tenant, LoginHint string
	Prompt, SsoURL, Claims, AccessTokenToRenew, correlationID                                       string
	Scopes, ClientCapabilities                                                                      []string
	ExtraQueryParameters, Pop                                                                       map[string]string
	Account                                                                                         object
	ParentWindowHandle, TimeLimit                                                                   float64
	context, limited                                                                                context.Context
	conn                                                                                            *dbus.Conn
}

func withoutEmpty(values object) object {
	return lo.OmitBy(values, func(_ string, value any) bool { return value == nil || value == "" || value == false })
}

func (o *operation) authority(account object) string {
	authority := hostAliases.ReplaceAllString(strings.TrimRight(o.Authority, "/"), "//login.microsoftonline.com")
	if account == nil {
		return authority
	}
	realm := lo.CoalesceOrEmpty(realmPattern.FindString(fmt.Sprint(account["realm"])), halves(account)[1])
	return anyTenant.ReplaceAllString(authority, "/"+realm)
}

func (o *operation) popParams(scheme string, account any) object {
	address := lo.Must(url.Parse(o.Pop["url"]))
	return withoutEmpty(object{"httpMethod": o.Pop["httpMethod"], "uriHost": address.Host, "uriPath": address.EscapedPath(),
		"nonce": o.Pop["nonce"], "clientClaims": o.Pop["clientClaims"], "kid": o.Pop["kid"],
		"authenticationScheme": scheme, "homeAccountId": account})
}

// claims are the challenge as it is, or with the capabilities merged in.
func (o *operation) claims() string {
	if len(o.ClientCapabilities) == 0 {
		return o.Claims
	}
	merged := lo.Assign(decode(o.Claims))
	ofToken, _ := merged["access_token"].(object)
	merged["access_token"] = lo.Assign(ofToken, object{"xms_cc": object{"values": o.ClientCapabilities}})
	return string(lo.Must(json.Marshal(merged)))
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
		"accessTokenToRenew": o.AccessTokenToRenew, "clientId": o.ClientID, "decodedClaims": o.claims(), "password": o.Password,
		"isSignIn": o.Account == nil, "prompt": o.Prompt, "redirectUri": o.RedirectURI, "requestedScopes": o.Scopes,
		"username": lo.Ternary[any](o.Account == nil, o.Username+o.LoginHint, o.Account["username"]), "ssoUrl": o.SsoURL,
		"parentWindow": object{"handle": o.ParentWindowHandle}, "additionalQueryParametersForAuthorization": extra})
}

func (o *operation) start(ctx context.Context, member, correlationID string, request object) *dbus.Call {
	body := lo.Must(json.Marshal(withoutEmpty(request)))
	return o.conn.Object(name, path).GoWithContext(ctx, iface+"."+member, 0, nil, "0.0", correlationID, string(body))
}

func (o *operation) call(member string, request object) reply {
	return parse(member, <-o.start(o.limited, member, o.correlationID, request).Done)
}

func (o *operation) accounts() []object {
	listed := must(o.call("getAccounts", object{"clientId": o.ClientID, "redirectUri": o.RedirectURI}).Accounts, "accounts")
	return lo.Filter(listed, func(a object, _ int) bool { return a["homeAccountId"] != nil })
}

// workBeforePersonal is, of accounts of one UPN, the work accounts, where the authority is for them.
func (o *operation) workBeforePersonal(accounts []object) []object {
	work := lo.Reject(accounts, func(a object, _ int) bool { return a["realm"] == personal })
	anybody := strings.HasSuffix(o.Authority, "/common") || strings.HasSuffix(o.Authority, "/consumers")
	return lo.Ternary(anybody || len(work) == 0, accounts, work)
}

// onlyUser is the account of the only user, or the login hint's; nil if there is none.
func (o *operation) onlyUser() object {
	named := lo.Filter(o.accounts(), func(a object, _ int) bool {
		return o.LoginHint == "" || strings.EqualFold(fmt.Sprint(a["username"]), o.LoginHint)
	})
	if o.LoginHint != "" {
		named = o.workBeforePersonal(named)
	}
	if users := lo.UniqBy(named, func(a object) string { return fmt.Sprint(a["homeAccountId"]) }); len(users) > 1 {
		panic(failure("ApiContractViolation", "", "", ""))
	}
	return ofHome(named)
}

func (o *operation) owner() (owner string) {
	o.conn.BusObject().Call(bus+".GetNameOwner", 0, name).Store(&owner)
	return owner
}

// attempt gives what a function gives, or what it panics with.
func attempt(call func() object) (outcome, failed object) {
	defer func() {
		if e := recover(); e != nil {
			failed = e.(object)
		}
	}()
	return call(), nil
}

// signIn makes the interactive call; again, with the only user's account, if the broker wants one and none was named.
func (o *operation) signIn() object {
	once := func() object {
		return o.acquireToken("acquireTokenInteractively", interactive, o.authority(o.Account))
	}
	mayRepeat := o.Account == nil && o.Prompt != "select_account"
	if known, _ := refusedBy.Load().(string); mayRepeat && known != "" && known == o.owner() {
		o.Account, mayRepeat = o.onlyUser(), false
	}
	outcome, refusal := attempt(once)
	if refusal == nil {
		return outcome
	}
	if !mayRepeat || refusal["wantsAccount"] != true {
		panic(refusal)
	}
	refusedBy.Store(o.owner())
	if o.Account = o.onlyUser(); o.Account == nil {
		panic(lo.Ternary(o.LoginHint == "", failure("InteractionRequired", "", "", ""), refusal))
	}
	return once()
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
	asked := o.authParameters(kind, authority)
	request := object{"authParameters": asked, "parentWindowHandle": o.ParentWindowHandle}
	call := o.start(lo.Ternary(kind == interactive, context.Background(), o.limited), method, o.correlationID, request)
	select {
	case <-call.Done:
	case <-o.context.Done():
		o.start(context.Background(), "cancelInteractiveFlow", uuid.NewString(), cancelRequest)
		<-call.Done
	}
	return lo.FromPtr(parse(method, call).BrokerTokenResponse).token(asked)
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
		named := lo.Filter(o.accounts(), func(a object, _ int) bool {
			return strings.EqualFold(fmt.Sprint(a["username"]), o.Username) && (o.Tenant == "" || a["realm"] == o.Tenant)
		})
		exact := lo.Filter(named, func(a object, _ int) bool { return a["username"] == o.Username })
		return object{"account": ofHome(o.workBeforePersonal(lo.Ternary(len(exact) > 0, exact, named)))}
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
		return o.signIn()
	case "acquirePrtSsoCookie":
		request := object{"account": o.Account, "authParameters": o.authParameters(cookie, o.authority(nil)), "ssoUrl": o.SsoURL}
		answer := o.call(o.Operation, request)
		cookies := lo.FilterMap(append(answer.CookieItems, answer), func(r reply, _ int) (object, bool) {
			return object{"name": r.CookieName, "content": r.CookieContent}, cookieForm.MatchString(r.CookieName + "=" + r.CookieContent)
		})
		return object{"cookies": must(lo.Ternary(len(cookies) == 0, nil, cookies), "cookie")}
	case "generateSignedHttpRequest":
		request := object{"clientId": o.ClientID, "popParams": o.popParams("pop", o.Account["homeAccountId"])}
		return object{"signedHttpRequest": must(credential.FindString(o.call(o.Operation, request).SignedHTTPRequest), "signed request")}
	case "removeAccount":
		if removed := o.call(o.Operation, object{"clientId": o.ClientID, "account": o.Account}); !lo.FromPtrOr(removed.Success, true) {
			panic(failure(statuses[0], "", "", ""))
		}
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
	said, failed := attempt(o.run)
	if failed != nil {
		said = object{"error": failed}
	}
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
