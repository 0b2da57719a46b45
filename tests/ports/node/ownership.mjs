// For whom a token is: PROTOCOL.md, "Whose token it is".
import { decode, jwtClaims } from "./replies.mjs";

const NO_TENANT = ["common", "organizations", "consumers"];
const isText = (value) => typeof value === "string" && value !== "";
const differ = (one, other) => isText(one) && isText(other) && one.toLowerCase() !== other.toLowerCase();
const equal = (one, other) => isText(one) && isText(other) && !differ(one, other);
const halves = (account) => String(account?.homeAccountId ?? "").split(".");

/** The id of the tenant that an authority names; undefined if it names none, or a domain whose id nobody tells. */
function tenantOf(authority, account) {
  const tenant = authority.split("/").at(-1).toLowerCase();
  if (!tenant.includes(".")) return NO_TENANT.includes(tenant) ? undefined : tenant;
  const isHome = equal(account?.realm, halves(account)[1]) && account.username?.toLowerCase().endsWith(`@${tenant}`);
  return isHome ? account.realm : undefined;
}

/** Whether what a reply tells of account and tenant is what was asked for. */
export function isFor({ account, username, authorizationType, authority }, response) {
  const user = jwtClaims(response.idToken);
  const home = decode(String(response.clientInfo ?? ""));
  if (account) {
    const pairs = [halves(response.account), [home.uid, home.utid]];
    if (pairs.some((pair) => halves(account).some((half, index) => differ(half, pair[index])))) return false;
    if (equal(user.tid, account.realm) && differ(user.oid, account.localAccountId)) return false;
  } else if (authorizationType === 3) {
    const told = [user.preferred_username, user.upn, user.unique_name, response.account?.username].filter(isText);
    if (told.length > 0 && !told.some((name) => equal(name, username))) return false;
  }
  const tenant = user.tid ?? jwtClaims(response.accessToken).tid ?? response.account?.realm;
  return !differ(tenant, tenantOf(authority, account));
}
