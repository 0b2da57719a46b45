// What a broker's reply means: PROTOCOL.md, "Tokens" and "Errors".

const STATUSES = [
  "Unexpected", "Reserved", "InteractionRequired", "NoNetwork", "NetworkTemporarilyUnavailable",
  "ServerTemporarilyUnavailable", "ApiContractViolation", "UserCanceled", "ApplicationCanceled",
  "IncorrectConfiguration", "InsufficientBuffer", "AuthorityUntrusted", "UserSwitch", "AccountUnusable",
  "UserDataRemovalRequired", "TransientError", "AccountSwitch", "DeviceNotRegistered", "KeyNotFound",
  "AccountNotFound", "RequiredBrokerMissing", "FallbackToNativeMsal",
];
const TAG_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const BUS_ERROR = "org.freedesktop.DBus.Error.";
const BUS_ERROR_FAMILIES = {
  ServiceUnknown: "absent", NameHasNoOwner: "absent", "Spawn.ServiceNotFound": "absent",
  TimedOut: "start", NoReply: "disconnected", Disconnected: "disconnected", Timeout: "timeout",
  UnknownMethod: "unsupported", UnknownInterface: "unsupported", UnknownObject: "unsupported",
  NotSupported: "unsupported", InvalidArgs: "unsupported",
};
const SIGN_IN_CODES = new Set([
  16000, 50055, 50058, 50072, 50074, 50076, 50078, 50079, 50126, 50132, 50133, 50144, 50158, 50173, 65001, 70008,
  70043, 70044, 700082, 700084,
].map((code) => `AADSTS${code}`));

/** A failure of a call. The message holds nothing that came over the bus, so that it can't hold a secret. */
export class Failure extends Error {
  constructor(family, message, details = {}) {
    super(message);
    this.family = family;
    this.details = details;
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value) => typeof value === "string" && value !== "";

function malformed(what) {
  return new Failure("malformed", `The broker's reply makes no sense: ${what}. Report it to the broker's maker.`);
}

function brokerFailure(status, context, { tag = "", subError = "" } = {}) {
  const codes = [...new Set(String(context ?? "").match(/AADSTS\d+/g))];
  const message = `The broker failed: ${[status, tag, ...codes].filter(Boolean).join(", ")}`;
  return new Failure("broker", message, { status, tag, codes, subError });
}

function tagName(tag) {
  if (!Number.isInteger(tag) || tag <= 0) return "";
  const letters = [24, 18, 12, 6, 0].map((shift) => TAG_ALPHABET[(tag >> shift) & 63]);
  return letters.includes(undefined) ? "" : letters.join("");
}

export function failureOfBusError(name, text) {
  const short = name.startsWith(BUS_ERROR) ? name.slice(BUS_ERROR.length) : "";
  const known = BUS_ERROR_FAMILIES[short] ?? (short.startsWith("Spawn.") ? "start" : undefined);
  const lower = text.toLowerCase();
  const family = known ?? (lower.includes("not implemented") ? "unsupported" : "broker");
  if (family !== "broker") return new Failure(family, `The call of the broker failed: ${family} (${name})`);
  if (lower.includes("broker socket connect")) return brokerFailure("TransientError", text);
  const failure = brokerFailure("Unexpected", text);
  return failure.details.codes.some((code) => SIGN_IN_CODES.has(code))
    ? brokerFailure("InteractionRequired", text)
    : failure;
}

/** Reads a reply as JSON, and throws the error that it holds, wherever that is. */
export function parseReply(body) {
  if (typeof body[0] !== "string") throw malformed("it is no text");
  let reply;
  try {
    reply = JSON.parse(body[0]);
  } catch {
    throw malformed("it is not JSON");
  }
  if (!isObject(reply)) throw malformed("it is no JSON object");
  const inner = isObject(reply.brokerTokenResponse) ? reply.brokerTokenResponse : {};
  const error = reply.error ?? inner.error ?? null;
  if (error !== null) {
    const details = { tag: tagName(error.tag), subError: inner.subError ?? "" };
    throw brokerFailure(STATUSES[error.status] ?? "Unexpected", error.context, details);
  }
  return reply;
}

export function accountsOf(reply) {
  if (!Array.isArray(reply.accounts)) throw malformed("it has no accounts");
  return reply.accounts;
}

export function textOf(reply, key) {
  if (!isText(reply[key])) throw malformed(`it has no ${key}`);
  return reply[key];
}

export function cookiesOf(reply) {
  const items = reply.cookieItems ?? [reply];
  if (!Array.isArray(items) || items.length === 0) throw malformed("it has no cookies");
  return items.map((item) => ({ name: textOf(item, "cookieName"), content: textOf(item, "cookieContent") }));
}

function decode(base64) {
  try {
    const value = JSON.parse(Buffer.from(base64, "base64url").toString());
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

const jwtClaims = (token) => decode(String(token ?? "").split(".")[1] ?? "");

function tokenType(value) {
  const name = { 0: "Bearer", 1: "pop", bearer: "Bearer", pop: "pop" }[String(value ?? 0).toLowerCase()];
  if (name === undefined) throw malformed("the token's type is unknown");
  return name;
}

function expiry({ accessToken, expiresOn }) {
  const { exp } = jwtClaims(accessToken);
  if (Number.isFinite(exp)) return Math.floor(exp);
  const time = /^\d+$/.test(String(expiresOn)) ? Number(expiresOn) : NaN;
  if (Number.isNaN(time)) throw malformed("the token's expiry is missing");
  return time < 1e11 ? time : Math.floor(time / 1000);
}

function accountOfToken({ idToken, clientInfo }) {
  const { oid, tid, preferred_username: username, name } = jwtClaims(idToken);
  const { uid, utid } = decode(String(clientInfo ?? ""));
  if (!tid || !uid) return null;
  const home = `${uid}.${utid}`;
  return { homeAccountId: home, localAccountId: oid, environment: "login.windows.net", realm: tid, username, name };
}

function grantedScopes(granted, requested) {
  const scopes = Array.isArray(granted) ? granted : String(granted ?? "").split(" ").filter(Boolean);
  return scopes.length > 0 ? scopes : requested;
}

/** Reads a token reply to a request for these scopes, with this account or null. */
export function tokenOf(reply, requested, account) {
  const response = reply.brokerTokenResponse;
  if (!isObject(response) || !isText(response.accessToken)) throw malformed("it has no token");
  const scopes = grantedScopes(response.grantedScopes, requested);
  const lower = new Set(scopes.map((scope) => String(scope).toLowerCase()));
  const declinedScopes = requested.filter((scope) => !lower.has(scope.toLowerCase()));
  if (declinedScopes.length > 0) {
    const message = `The broker did not grant ${declinedScopes.join(" ")}. Ask for consent to them.`;
    throw new Failure("declined", message, { status: "ApiContractViolation", declinedScopes });
  }
  return {
    accessToken: response.accessToken,
    tokenType: tokenType(response.accessTokenType),
    expiresOn: expiry(response),
    scopes,
    idToken: response.idToken ?? "",
    account: response.account ?? account ?? accountOfToken(response),
  };
}
