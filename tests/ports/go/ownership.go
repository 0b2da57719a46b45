// For whom a token is: PROTOCOL.md, "Whose token it is".
package main

import (
	"strings"

	"github.com/samber/lo"
)

var noTenant = []string{"common", "organizations", "consumers"}

// differ compares ids: one that is missing, empty or no text differs from nothing.
func differ(one, other any) bool {
	a, _ := one.(string)
	b, _ := other.(string)
	return a != "" && b != "" && !strings.EqualFold(a, b)
}

func equal(one, other any) bool {
	a, _ := one.(string)
	b, _ := other.(string)
	return a != "" && strings.EqualFold(a, b)
}

func halves(account object) [2]string {
	id, _ := account["homeAccountId"].(string)
	uid, utid, _ := strings.Cut(id, ".")
	return [2]string{uid, utid}
}

// tenantOf is the id of the tenant that an authority names; nil if it names none, or a domain whose id nobody tells.
func tenantOf(authority string, account object) any {
	tenant := strings.ToLower(authority[strings.LastIndex(authority, "/")+1:])
	username, _ := account["username"].(string)
	switch {
	case lo.Contains(noTenant, tenant):
		return nil
	case !strings.Contains(tenant, "."):
		return tenant
	case equal(account["realm"], halves(account)[1]) && strings.HasSuffix(strings.ToLower(username), "@"+tenant):
		return account["realm"]
	}
	return nil
}

// isFor says whether what the reply tells of account and tenant is what was asked for.
func (r reply) isFor(asked, account object) bool {
	user, home := claimsOf(r.IDToken), decode(r.ClientInfo)
	if account != nil {
		own, theirs := halves(account), halves(r.Account)
		others := []bool{differ(own[0], theirs[0]), differ(own[1], theirs[1]), differ(own[0], home["uid"]),
			differ(own[1], home["utid"]), equal(user["tid"], account["realm"]) && differ(user["oid"], account["localAccountId"])}
		if lo.Contains(others, true) {
			return false
		}
	} else if asked["authorizationType"] == password {
		names := []any{user["preferred_username"], user["upn"], user["unique_name"], r.Account["username"]}
		isOther := func(name any) bool { return differ(name, asked["username"]) }
		if lo.SomeBy(names, isOther) && lo.NoneBy(names, func(name any) bool { return equal(name, asked["username"]) }) {
			return false
		}
	}
	tenant := first(user["tid"], claimsOf(r.AccessToken)["tid"], r.Account["realm"])
	return !differ(tenant, tenantOf(asked["authority"].(string), account))
}
