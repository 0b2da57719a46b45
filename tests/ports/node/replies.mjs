// What a broker's reply means: PROTOCOL.md, "Tokens" and "Errors".
const STATUSES = `Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
  ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
  InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError AccountSwitch
  DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`.split(/\s+/);
const TOKEN_TYPES = { 0: "Bearer", 1: "pop", bearer: "Bearer", pop: "pop" };
const TAG_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const BUS_ERROR = "org.freedesktop.DBus.Error.";
const BUS_ERROR_FAMILIES = {
  absent: ["ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound"],
  start: ["TimedOut"], timeout: ["Timeout"], disconnected: ["NoReply", "Disconnected"],
  unsupported: ["UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs"],
};
const SIGN_IN_CODES = [16000, 50055, 50058, 50072, 50074, 50076, 50078, 50079, 50126, 50132, 50133, 50144, 50158, 50173,
  65001, 70008, 70043, 70044, 700082, 700084].map((code) => `AADSTS${code}`);

/** A failed call. Its message holds nothing that came over the bus, and so no secret. */
export class Failure extends Error {
  constructor(family, message, details = {}) {
    super(message);
    Object.assign(this, { family, details });
  }
}

const codesIn = (context) => [...new Set(String(context ?? "").match(/AADSTS\d+/g))];
const malformed = (what) => new Failure("malformed", `The broker's reply makes no sense: ${what}.`);

export function brokerFailure(status, context, tag = "", subError = "") {
  const codes = codesIn(context);
  const message = `The broker failed: ${[status, tag, ...codes].filter(Boolean).join(", ")}.`;
  return new Failure("broker", message, { status, tag, codes, subError });
}

function jsonObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null; // The parser's error quotes the text, and that can be a token.
  }
}

/** Reads JSON, or base64url of JSON, as an object, which is empty if that can't be done. */
export const decode = (text = "") => jsonObject(text) ?? jsonObject(Buffer.from(text, "base64url").toString()) ?? {};
const jwtClaims = (token) => decode(String(token).split(".")[1]);

function tagName(tag) {
  const letters = [24, 18, 12, 6, 0].map((shift) => TAG_ALPHABET[(tag >> shift) & 63]);
  return tag > 0 && !letters.includes(undefined) ? letters.join("") : "";
}

export function failureOfBusError(name, text) {
  const short = name.startsWith(BUS_ERROR) ? name.slice(BUS_ERROR.length) : "";
  const lower = text.toLowerCase();
  let family = Object.keys(BUS_ERROR_FAMILIES).find((key) => BUS_ERROR_FAMILIES[key].includes(short));
  if (short.startsWith("Spawn.")) family ??= "start";
  if (lower.includes("not implemented")) family ??= "unsupported";
  if (family) return new Failure(family, `The call of the broker failed: ${family} (${name}).`);
  if (lower.includes("broker socket connect")) return brokerFailure("TransientError", text);
  const mendable = codesIn(text).some((code) => SIGN_IN_CODES.includes(code));
  return brokerFailure(mendable ? "InteractionRequired" : "Unexpected", text);
}

/** Reads a reply, and throws the error that it holds, wherever that is. */
export function parseReply([text]) {
  const reply = typeof text === "string" ? jsonObject(text) : null;
  if (!reply) throw malformed("it is no JSON object");
  const inner = reply.brokerTokenResponse;
  const error = reply.error ?? inner?.error ?? null;
  if (error === null) return reply;
  throw brokerFailure(STATUSES[error.status] ?? "Unexpected", error.context, tagName(error.tag), inner?.subError);
}

export function accountsOf({ accounts }) {
  if (!Array.isArray(accounts)) throw malformed("it has no accounts");
  return accounts;
}

export function textOf(reply, key) {
  if (typeof reply?.[key] !== "string" || reply[key] === "") throw malformed(`it has no ${key}`);
  return reply[key];
}

export function cookiesOf(reply) {
  const items = [reply.cookieItems ?? reply].flat();
  if (items.length === 0) throw malformed("it has no cookies");
  return items.map((item) => ({ name: textOf(item, "cookieName"), content: textOf(item, "cookieContent") }));
}

function expiry({ accessToken, expiresOn }) {
  const { exp } = jwtClaims(accessToken);
  if (Number.isFinite(exp)) return Math.floor(exp);
  if (!/^\d+$/.test(String(expiresOn))) throw malformed("it does not say when the token expires");
  return expiresOn < 1e11 ? Number(expiresOn) : Math.floor(expiresOn / 1000);
}

function accountOfToken({ idToken, clientInfo }) {
  const { oid, tid, preferred_username: username, name } = jwtClaims(idToken);
  const { uid, utid } = decode(String(clientInfo));
  const names = { environment: "login.windows.net", username, name };
  return tid && uid ? { homeAccountId: `${uid}.${utid}`, localAccountId: oid, realm: tid, ...names } : null;
}

/** Reads a reply to a request for a token for these scopes, with this account or null. */
export function tokenOf({ brokerTokenResponse: response }, requested, account) {
  const accessToken = textOf(response, "accessToken");
  const tokenType = TOKEN_TYPES[String(response.accessTokenType ?? 0).toLowerCase()];
  if (!tokenType) throw malformed("the token's type is unknown");
  const granted = [response.grantedScopes ?? ""].flat().join(" ").split(" ").filter(Boolean);
  const scopes = granted.length > 0 ? granted : requested;
  const lower = scopes.map((scope) => scope.toLowerCase());
  const declinedScopes = requested.filter((scope) => !lower.includes(scope.toLowerCase()));
  if (declinedScopes.length > 0) {
    const details = { status: "ApiContractViolation", declinedScopes };
    throw new Failure("declined", `The broker did not grant ${declinedScopes.join(" ")}. Ask for consent.`, details);
  }
  const owner = response.account ?? account ?? accountOfToken(response);
  return { accessToken, tokenType, expiresOn: expiry(response), scopes, idToken: response.idToken, account: owner };
}
