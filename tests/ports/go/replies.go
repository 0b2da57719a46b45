// What a broker's reply means: PROTOCOL.md, "Tokens" and "Errors".
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/samber/lo"
)

var (
	statuses = strings.Fields(`Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
		ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
		InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError
		AccountSwitch DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`)
	tagAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789" + strings.Repeat("?", 64-36)
	tokenTypes  = map[string]string{"<nil>": "Bearer", "0": "Bearer", "bearer": "Bearer", "1": "pop", "pop": "pop"}
	// A pattern for a D-Bus error's name, and its family. If none fits, the error's text counts.
	busErrors = [][2]string{
		{`^(Timeout|context deadline exceeded)\s`, "timeout"},
		{`^(NoReply|Disconnected|dbus: connection closed.*)\s`, "disconnected"},
		{`^(ServiceUnknown|NameHasNoOwner|Spawn\.ServiceNotFound)\s`, "absent"},
		{`^(Spawn\.\w+|TimedOut|org\.freedesktop\.systemd1\.\w+)\s`, "start"},
		{`^(Unknown(Method|Interface|Object)|NotSupported|InvalidArgs|org\.freedesktop\.dbus\.errors\.UnknownObject)\s`, "unsupported"},
		{`^(AccessDenied|LimitsExceeded|NoMemory|NoServer|IOError|AuthFailed)\s`, "unreachable"},
	}
	// A pattern for the text of a failure without a status, and what it means. The first that fits counts; if none: Unexpected.
	texts = [][2]string{
		{`(?i)^not implemented$`, "unsupported"},
		{`(?i)broker socket connect|no such file or directory \(os error 2\)|^broker socket read timeout$`, "TransientError"},
		{`(?i)^(failed to authenticate user|failed to fetch prt sso cookie)$|^(?i)interactive authentication failed`, "InteractionRequired"},
		{`(?i)^(unable to (find|load) account|invalid request for user!)$`, "AccountNotFound"},
		{`(?i)^missing account( username in request)?$|^(?i)error\("`, "ApiContractViolation"},
		{`(?i)^invalid redirecturi`, "IncorrectConfiguration"},
		{`AADSTS(16000|500(55|58|72|74|76|78|79)|501(26|32|33|44|58|73)|65001|70008|7004[34]|70008[24])\b`, "InteractionRequired"},
		{`Code: '(interaction_required|invalid_grant|login_required|consent_required)'`, "InteractionRequired"},
		{`Code: '(invalid_client|unauthorized_client|invalid_request|invalid_scope)'`, "IncorrectConfiguration"},
		{`Code: 'temporarily_unavailable'`, "ServerTemporarilyUnavailable"},
	}
	wantsAccount           = regexp.MustCompile(`(?i)^missing account( username in request)?$`)
	aadstsCode             = regexp.MustCompile(`AADSTS\d+`)
	subErrorIn             = regexp.MustCompile(`suberror: '([^']*)'`)
	brokerDecline          = regexp.MustCompile(`(?i)^token response failed because declined scopes are present`)
	neverDeclined          = regexp.MustCompile(`(?i)(^|/)\.default$|^(openid|profile|offline_access|email)$`)
	graphScope             = regexp.MustCompile(`^https://(graph\.microsoft\.com|(?:dod-)?graph\.microsoft\.us|microsoftgraph\.chinacloudapi\.cn)/`)
	credential, cookieForm = regexp.MustCompile(`^[!-~]+$`), regexp.MustCompile("^[0-9A-Za-z!#$%&'*+.^_`|~-]+=[!#-+\\--:<-\\[\\]-~]+$")
)

// A reply has the keys of all replies, and of the objects in them.
type reply struct {
	LinuxBrokerVersion, SignedHTTPRequest, CookieName, CookieContent string
	AccessToken, ClientInfo, IDToken, SubError, StsSubError, Context string
	AccessTokenType, GrantedScopes, ExpiresOn, ExtendedExpiresOn     any
	Status, Tag                                                      int
	Success                                                          *bool
	Account                                                          object
	Accounts                                                         []object
	CookieItems                                                      []reply
	BrokerTokenResponse, Error                                       *reply
}

func malformed(what string) object {
	return object{"family": "malformed", "message": "The broker's reply makes no sense: " + what}
}

// must panics, as the rest does, with what the driver says of a failed call: nothing secret. An empty list is a value.
func must[T any](value T, what string) T {
	if lo.EmptyableToPtr(value) == nil {
		panic(malformed("it has no " + what))
	}
	return value
}

// failure is of a kind that is a status of the broker's, or else a family; of the text it holds codes and sub-error only.
func failure(kind, text, tag, subError string) object {
	codes := lo.Uniq(aadstsCode.FindAllString(text, -1))
	family, message := lo.Ternary(lo.Contains(statuses, kind), "broker", kind), fmt.Sprint("failed: ", kind, " ", tag, codes)
	if found := subErrorIn.FindStringSubmatch(text); subError == "" && found != nil {
		subError = found[1]
	}
	return object{"family": family, "message": message, "status": kind, "tag": tag, "subError": subError, "codes": codes}
}

// failureOfText is that of a text without a status.
func failureOfText(text, tag, subError string) object {
	text = strings.TrimSpace(text)
	row, _ := lo.Find(texts, func(row [2]string) bool { return regexp.MustCompile(row[0]).MatchString(text) })
	failed := failure(lo.CoalesceOrEmpty(row[1], statuses[0]), text, tag, subError)
	failed["wantsAccount"] = wantsAccount.MatchString(text)
	return failed
}

func failureOfEmptyReply(member string) object {
	switch member {
	case "getAccounts":
		return failure("AccountNotFound", "", "", "")
	case "getLinuxBrokerVersion":
		return malformed("it is empty")
	case "removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow":
		return failure("unsupported", "", "", "")
	}
	return lo.Assign(failure("InteractionRequired", "", "", ""), object{"wantsAccount": true})
}

func failureOfError(reported reply, subError string) object {
	if reported.Status == 6 && brokerDecline.MatchString(reported.Context) {
		return declined([]string{})
	}
	if reported.Status == 0 {
		return failureOfText(reported.Context, tagName(reported.Tag), subError)
	}
	status := statuses[lo.Ternary(reported.Status > 0 && reported.Status < len(statuses), reported.Status, 0)]
	return failure(status, reported.Context, tagName(reported.Tag), subError)
}

func declined(scopes []string) object {
	message := fmt.Sprint("The broker did not grant these scopes, ask for consent, with their full names: ", scopes)
	return object{"family": "declined", "message": message, "status": statuses[6], "declinedScopes": scopes}
}

func tagName(tag int) string {
	letters := lo.Map([]int{24, 18, 12, 6, 0}, func(shift, _ int) string { return tagAlphabet[tag>>shift&63:][:1] })
	return lo.Ternary(tag <= 0 || lo.Contains(letters, "?"), "", strings.Join(letters, ""))
}

// first is the first that is there, or nil.
func first(values ...any) any {
	found, _ := lo.Find(values, func(value any) bool { return value != nil })
	return found
}

// errorIn finds an error at any depth; it panics if there is one that is no object.
func errorIn(value any) object {
	parts, _ := value.(object)
	if own := first(parts["error"], parts["Error"]); own != nil {
		reported, ok := own.(object)
		if !ok {
			panic(malformed("its error is no object"))
		}
		return reported
	}
	for _, part := range parts {
		if found := errorIn(part); found != nil {
			return found
		}
	}
	return nil
}

// parse reads the reply to a call of a method, or panics with the error that it holds. What makes no sense in it is not read.
func parse(member string, call *dbus.Call) (parsed reply) {
	if call.Err != nil {
		replied, _ := call.Err.(dbus.Error)
		text := strings.TrimLeft(fmt.Sprintln(strings.TrimPrefix(replied.Name, bus+".Error."), call.Err), " ")
		row, found := lo.Find(busErrors, func(row [2]string) bool { return regexp.MustCompile(row[0]).MatchString(text) })
		panic(lo.TernaryF(found, func() object { return failure(row[1], "", "", "") },
			func() object { return failureOfText(call.Err.Error(), "", "") }))
	}
	text := fmt.Sprint(call.Body...)
	if text == "" {
		panic(failureOfEmptyReply(member))
	}
	var whole object
	json.Unmarshal([]byte(text), &whole)
	json.Unmarshal([]byte(text), &parsed)
	token := lo.FromPtr(parsed.BrokerTokenResponse)
	if reported := lo.CoalesceOrEmpty(parsed.Error, token.Error); reported != nil {
		errorIn(whole)
		panic(failureOfError(*reported, lo.CoalesceOrEmpty(token.SubError, token.StsSubError)))
	}
	if member == "removeAccount" {
		if whole == nil {
			panic(malformed("it is no object"))
		}
		if deep := errorIn(whole); deep != nil {
			var reported reply
			json.Unmarshal(lo.Must(json.Marshal(deep)), &reported)
			panic(failureOfError(reported, ""))
		}
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

// expiry is in seconds.
func (r reply) expiry() float64 {
	given := func(value any) float64 { number, _ := json.Number(fmt.Sprint(value)).Float64(); return number }
	claimed, _ := claimsOf(r.AccessToken)["exp"].(float64)
	extended, _ := r.ExtendedExpiresOn.(float64)
	stated := given(r.ExpiresOn)
	if more := extended - stated/1000; stated >= 1e11 && more > 1 && more <= 110_000 { // Himmelblau 3.1: EX-09.
		stated = extended
	}
	exp := lo.CoalesceOrEmpty(claimed, lo.Max([]float64{stated, 0}))
	return must(exp, "time at which the token expires") / lo.Ternary(exp < 1e11, 1.0, 1000.0)
}

func comparableScope(scope string, _ int) string {
	return graphScope.ReplaceAllString(strings.ToLower(scope), "")
}

// token is what a reply to a request with these authParameters holds.
func (r reply) token(asked object) object {
	account, _ := asked["account"].(object)
	pop, _ := asked["popParams"].(object)
	requested := asked["requestedScopes"].([]string)
	if r.Account["homeAccountId"] == nil {
		r.Account = nil
	}
	tokenType := must(tokenTypes[strings.ToLower(fmt.Sprint(r.AccessTokenType))], "token of a known type")
	must(lo.Ternary(credential.MatchString(r.AccessToken+r.IDToken), r.AccessToken, ""), "token")
	switch {
	case tokenType == "pop" && pop == nil:
		panic(malformed("nobody asked for a proof of possession"))
	case tokenType == "Bearer" && pop["uriHost"] != nil:
		panic(failure("unsupported", "", "", ""))
	case !r.isFor(asked, account):
		panic(failure("ApiContractViolation", "", "", ""))
	}
	granted := lo.Without(strings.Fields(strings.Trim(fmt.Sprint(r.GrantedScopes), "[]")), "<nil>") // A list prints as [a b].
	scopes := lo.Ternary(len(granted) == 0, requested, granted)
	present := lo.Map(scopes, comparableScope)
	missing := lo.Reject(requested, func(scope string, _ int) bool {
		return neverDeclined.MatchString(scope) || lo.Contains(present, comparableScope(scope, 0))
	})
	if len(missing) > 0 {
		panic(declined(missing))
	}
	owner, _ := lo.Find([]object{r.Account, account, r.accountOfToken()}, func(each object) bool { return each != nil })
	return object{"token": object{"accessToken": r.AccessToken, "tokenType": tokenType, "scopes": scopes,
		"expiresOn": int64(r.expiry()), "idToken": r.IDToken, "account": owner}}
}
