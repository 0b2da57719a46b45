package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

type object = map[string]any

const (
	busError    = "org.freedesktop.DBus.Error."
	tagAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
)

var (
	statuses = strings.Fields(`Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
		ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
		InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError
		AccountSwitch DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`)
	signInCodes = strings.Fields(`AADSTS16000 AADSTS50055 AADSTS50058 AADSTS50072 AADSTS50074 AADSTS50076 AADSTS50078
		AADSTS50079 AADSTS50126 AADSTS50132 AADSTS50133 AADSTS50144 AADSTS50158 AADSTS50173 AADSTS65001 AADSTS70008
		AADSTS70043 AADSTS70044 AADSTS700082 AADSTS700084`)
	families = map[string]string{
		"ServiceUnknown": "absent", "NameHasNoOwner": "absent", "Spawn.ServiceNotFound": "absent", "TimedOut": "start",
		"NoReply": "disconnected", "Disconnected": "disconnected", "Timeout": "timeout", "UnknownMethod": "unsupported",
		"UnknownInterface": "unsupported", "UnknownObject": "unsupported", "NotSupported": "unsupported",
		"InvalidArgs": "unsupported",
	}
	tokenTypes  = map[string]string{"0": "Bearer", "bearer": "Bearer", "<nil>": "Bearer", "1": "pop", "pop": "pop"}
	codePattern = regexp.MustCompile(`AADSTS\d+`)
)

// A failure is a failed call. Its message holds nothing that came over the bus, and so no secret.
type failure struct {
	Family, Message, Status, Tag, SubError string
	Codes, DeclinedScopes                  []string
}

func (f *failure) Error() string { return f.Message }

func malformed(what string) error {
	return &failure{Family: "malformed", Message: "The broker's reply makes no sense: " + what + "."}
}

func brokerFailure(status, context, tag, subError string) error {
	codes := []string{}
	for _, code := range codePattern.FindAllString(context, -1) {
		if !contains(codes, code) {
			codes = append(codes, code)
		}
	}
	message := fmt.Sprintf("The broker failed: %s %s %v.", status, tag, codes)
	return &failure{Family: "broker", Message: message, Status: status, Tag: tag, SubError: subError, Codes: codes}
}

func contains(list []string, wanted string) bool {
	for _, each := range list {
		if strings.EqualFold(each, wanted) {
			return true
		}
	}
	return false
}

func failureOfCall(err error) error {
	var reply dbus.Error
	if !errors.As(err, &reply) {
		return &failure{Family: "disconnected", Message: "The bus is gone: " + err.Error()}
	}
	text := reply.Error()
	lower, short := strings.ToLower(text), strings.TrimPrefix(reply.Name, busError)
	family := families[short]
	switch {
	case family != "":
	case strings.HasPrefix(short, "Spawn."):
		family = "start"
	case strings.Contains(lower, "not implemented"):
		family = "unsupported"
	case strings.Contains(lower, "broker socket connect"):
		return brokerFailure("TransientError", text, "", "")
	default:
		for _, code := range codePattern.FindAllString(text, -1) {
			if contains(signInCodes, code) {
				return brokerFailure("InteractionRequired", text, "", "")
			}
		}
		return brokerFailure("Unexpected", text, "", "")
	}
	return &failure{Family: family, Message: "The call of the broker failed: " + family + " (" + reply.Name + ")."}
}

// parse reads JSON as an object, which is nil when it is anything else. Numbers stay as they are written.
func parse(text string) (parsed object) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&parsed) != nil || decoder.More() {
		return nil
	}
	return parsed
}

func decode(encoded string) object {
	text, _ := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	return parse(string(text))
}

func claimsOf(jwt string) object {
	if parts := strings.Split(jwt, "."); len(parts) > 1 {
		return decode(parts[1])
	}
	return nil
}

func text(o object, key string) string {
	value, _ := o[key].(string)
	return value
}

func needText(o object, key string) (string, error) {
	if text(o, key) == "" {
		return "", malformed("it has no " + key)
	}
	return text(o, key), nil
}

func number(value any) (int64, bool) {
	parsed, err := strconv.ParseFloat(fmt.Sprint(value), 64)
	return int64(parsed), err == nil
}

func statusName(value any) string {
	if status, ok := number(value); ok && status >= 0 && status < int64(len(statuses)) {
		return statuses[status]
	}
	return statuses[0]
}

func tagName(value any) (name string) {
	tag, _ := number(value)
	for shift := 24; shift >= 0; shift -= 6 {
		index := tag >> shift & 63
		if tag <= 0 || index >= int64(len(tagAlphabet)) {
			return ""
		}
		name += tagAlphabet[index : index+1]
	}
	return name
}

// parseReply reads a reply, or the error that it holds, wherever that is.
func parseReply(call *dbus.Call) (object, error) {
	if call.Err != nil {
		return nil, failureOfCall(call.Err)
	}
	var body string
	if call.Store(&body) != nil {
		return nil, malformed("it is no text")
	}
	reply := parse(body)
	if reply == nil {
		return nil, malformed("it is no JSON object")
	}
	inner, _ := reply["brokerTokenResponse"].(object)
	for _, holder := range []object{reply, inner} {
		if holder["error"] != nil {
			reported, _ := holder["error"].(object)
			status, tag := statusName(reported["status"]), tagName(reported["tag"])
			return nil, brokerFailure(status, text(reported, "context"), tag, text(inner, "subError"))
		}
	}
	return reply, nil
}

func cookiesOf(reply object) ([]object, error) {
	items, isList := reply["cookieItems"].([]any)
	if !isList {
		items = []any{reply}
	}
	cookies := []object{}
	for _, item := range items {
		cookie, _ := item.(object)
		name, content := text(cookie, "cookieName"), text(cookie, "cookieContent")
		if name == "" || content == "" {
			return nil, malformed("it has no cookie that can be used")
		}
		cookies = append(cookies, object{"name": name, "content": content})
	}
	if len(cookies) == 0 {
		return nil, malformed("it has no cookies")
	}
	return cookies, nil
}

func expiry(token object) (int64, error) {
	if exp, ok := number(claimsOf(text(token, "accessToken"))["exp"]); ok {
		return exp, nil
	}
	time, ok := number(token["expiresOn"])
	switch {
	case !ok:
		return 0, malformed("it does not say when the token expires")
	case time < 1e11:
		return time, nil
	}
	return time / 1000, nil
}

func accountOfToken(token object) object {
	user, home := claimsOf(text(token, "idToken")), decode(text(token, "clientInfo"))
	if user["tid"] == nil || home["uid"] == nil {
		return nil
	}
	return object{
		"homeAccountId": text(home, "uid") + "." + text(home, "utid"), "localAccountId": user["oid"], "realm": user["tid"],
		"environment": "login.windows.net", "username": user["preferred_username"], "name": user["name"],
	}
}

// tokenOf reads a reply to a request for a token for these scopes, with this account or nil.
func tokenOf(reply object, requested []string, account object) (object, error) {
	token, _ := reply["brokerTokenResponse"].(object)
	accessToken, err := needText(token, "accessToken")
	if err != nil {
		return nil, err
	}
	tokenType := tokenTypes[strings.ToLower(fmt.Sprint(token["accessTokenType"]))]
	if tokenType == "" {
		return nil, malformed("the token's type is unknown")
	}
	scopes := strings.Fields(strings.Trim(fmt.Sprint(token["grantedScopes"]), "[]"))
	if token["grantedScopes"] == nil || len(scopes) == 0 {
		scopes = requested
	}
	declined := []string{}
	for _, scope := range requested {
		if !contains(scopes, scope) {
			declined = append(declined, scope)
		}
	}
	if len(declined) > 0 {
		message := fmt.Sprintf("The broker did not grant %v. Ask for consent.", declined)
		return nil, &failure{Family: "declined", Message: message, Status: statuses[6], DeclinedScopes: declined}
	}
	expiresOn, err := expiry(token)
	if owner, ok := token["account"].(object); ok {
		account = owner
	} else if account == nil {
		account = accountOfToken(token)
	}
	return object{
		"accessToken": accessToken, "tokenType": tokenType, "expiresOn": expiresOn, "scopes": scopes,
		"idToken": token["idToken"], "account": account,
	}, err
}
