// What a broker's reply means: PROTOCOL.md, "Tokens" and "Errors".
import { isFor } from "./ownership.mjs";

const STATUSES = `Unexpected Reserved InteractionRequired NoNetwork NetworkTemporarilyUnavailable
  ServerTemporarilyUnavailable ApiContractViolation UserCanceled ApplicationCanceled IncorrectConfiguration
  InsufficientBuffer AuthorityUntrusted UserSwitch AccountUnusable UserDataRemovalRequired TransientError AccountSwitch
  DeviceNotRegistered KeyNotFound AccountNotFound RequiredBrokerMissing FallbackToNativeMsal`.split(/\s+/);
const TOKEN_TYPES = { 0: "Bearer", 1: "pop", bearer: "Bearer", pop: "pop" };
const TAG_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const BUS_ERROR = "org.freedesktop.DBus.Error.";
const BUS_ERROR_FAMILIES = {
  absent: ["ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound"],
  unreachable: ["AccessDenied", "LimitsExceeded", "NoMemory", "NoServer", "IOError", "AuthFailed"],
  start: ["TimedOut"], timeout: ["Timeout"], disconnected: ["NoReply", "Disconnected"],
  unsupported: ["UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs"],
};
const SIGN_IN_CODES = [16000, 50055, 50058, 50072, 50074, 50076, 50078, 50079, 50126, 50132, 50133, 50144, 50158, 50173,
  65001, 70008, 70043, 70044, 700082, 700084].map((code) => `AADSTS${code}`);

// The statuses of texts, in lower case; the first that fits counts. PROTOCOL.md, "What a text means".
const STATUS_OF_TEXTS = [
  [/broker socket connect|no such file or directory \(os error 2\)|^broker socket read timeout$/, "TransientError"],
  [/^(failed to authenticate user|failed to fetch prt sso cookie)$|^interactive authentication failed/, "InteractionRequired"],
  [/^(unable to (find|load) account|invalid request for user!)$/, "AccountNotFound"],
  [/^missing account( username in request)?$|^error\("/, "ApiContractViolation"],
  [/^invalid redirecturi/, "IncorrectConfiguration"],
  [new RegExp(`(${SIGN_IN_CODES.join("|").toLowerCase()})(?!\\d)`), "InteractionRequired"],
  [/code: '(interaction_required|invalid_grant|login_required|consent_required)'/, "InteractionRequired"],
  [/code: '(invalid_client|unauthorized_client|invalid_request|invalid_scope)'/, "IncorrectConfiguration"],
  [/code: 'temporarily_unavailable'/, "ServerTemporarilyUnavailable"],
];
const ACCOUNT_IS_WANTED = /^missing account( username in request)?$/i;
const GRAPH = /^https:\/\/(graph\.microsoft\.com|(dod-)?graph\.microsoft\.us|microsoftgraph\.chinacloudapi\.cn)\/(?!\.default$)/;

/** A failed call. Its message holds nothing that came over the bus, and so no secret. */
export class Failure extends Error {
  constructor(family, message, details = {}) {
    super(message);
    Object.assign(this, { family, details });
  }
}

const codesIn = (context) => [...new Set(String(context ?? "").match(/AADSTS\d+/g))];
const unsupported = () => new Failure("unsupported", "The broker does not support this.");
const malformed = (what) => new Failure("malformed", `The broker's reply makes no sense: ${what}.`);

export function brokerFailure(status, context, tag = "", subError = "") {
  const codes = codesIn(context);
  const message = `The broker failed: ${[status, tag, ...codes].filter(Boolean).join(", ")}.`;
  const inText = /suberror: '([^']*)'/.exec(context)?.[1];
  return new Failure("broker", message, { status, tag, codes, subError: subError || inText || "" });
}

/** Reads a failure by its text, as it has no status. */
function failureOfText(context = "", tag, subError) {
  const text = context.trim().toLowerCase();
  if (text === "not implemented") return unsupported();
  const status = STATUS_OF_TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? "Unexpected";
  return Object.assign(brokerFailure(status, context, tag, subError), { wantsAccount: ACCOUNT_IS_WANTED.test(text) });
}

function failureOfEmptyReply(member) {
  if (/^acquire/.test(member)) {
    return Object.assign(brokerFailure("InteractionRequired", "the broker gave no reason"), { wantsAccount: true });
  }
  if (member === "getAccounts") return brokerFailure("AccountNotFound", "the broker has no account for this user");
  return member === "getLinuxBrokerVersion" ? malformed("it is empty") : unsupported();
}

function failureOfError(error, { brokerTokenResponse: inner } = {}) {
  if (typeof error !== "object") return malformed("its error is no object");
  const { context, status = 0, tag } = error;
  const subError = inner?.subError || inner?.stsSubError || "";
  if (status === 6 && /^token response failed because declined scopes are present/i.test(context)) {
    return declined([]);
  }
  if (status === 0) return failureOfText(context, tagName(tag), subError);
  return brokerFailure(STATUSES[status] ?? "Unexpected", context, tagName(tag), subError);
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
export const jwtClaims = (token) => decode(String(token).split(".")[1]);

function tagName(tag) {
  const letters = [24, 18, 12, 6, 0].map((shift) => TAG_ALPHABET[(tag >> shift) & 63]);
  return tag > 0 && !letters.includes(undefined) ? letters.join("") : "";
}

export function failureOfBusError(name, text) {
  const short = name.startsWith(BUS_ERROR) ? name.slice(BUS_ERROR.length) : "";
  const java = name === "org.freedesktop.dbus.errors.UnknownObject";
  let family = Object.keys(BUS_ERROR_FAMILIES).find((key) => BUS_ERROR_FAMILIES[key].includes(short));
  if (short.startsWith("Spawn.") || name.startsWith("org.freedesktop.systemd1.")) family ??= "start";
  if (java) family ??= "unsupported";
  return family ? new Failure(family, `The call of the broker failed: ${family} (${name}).`) : failureOfText(text);
}

const errorIn = (value) => value?.error ?? value?.Error ?? null;
const errorAnywhere = (value) => typeof value !== "object" ? null
  : errorIn(value) ?? Object.values(value ?? {}).reduce((found, each) => found ?? errorAnywhere(each), null);

/** Reads the reply to a call of a method, and throws the error that it holds, wherever that is. */
export function parseReply(member, [text]) {
  if (text === "") throw failureOfEmptyReply(member);
  const reply = typeof text === "string" ? jsonObject(text) : null;
  if (!reply) throw malformed("it is no JSON object");
  const anywhere = member === "removeAccount" ? errorAnywhere(reply) : null;
  const error = reply.error ?? reply.brokerTokenResponse?.error ?? anywhere;
  if (error !== null) throw failureOfError(error, reply);
  return reply;
}

export function removalOf({ success }) {
  if (success === false) throw brokerFailure("Unexpected", "the broker signed nobody out");
  return true;
}

export function accountsOf({ accounts }) {
  if (!Array.isArray(accounts)) throw malformed("it has no accounts");
  return accounts.filter((account) => account?.homeAccountId);
}

export function textOf(reply, key) {
  if (typeof reply?.[key] !== "string" || reply[key] === "") throw malformed(`it has no ${key}`);
  return reply[key];
}

/** A text that can be the value of a header. */
export function credentialOf(reply, key, alphabet = /^[!-~]+$/) {
  const text = textOf(reply, key);
  if (!alphabet.test(text)) throw malformed(`its ${key} is not one`);
  return text;
}

export function cookiesOf(reply) {
  const items = [reply.cookieItems ?? reply].flat();
  if (items.length === 0) throw malformed("it has no cookies");
  return items.map((item) => ({
    name: credentialOf(item, "cookieName", /^[\w!#$%&'*+.^`|~-]+$/),
    content: credentialOf(item, "cookieContent", /^[!#-+\--:<-[\]-~]+$/),
  }));
}

function expiry({ accessToken, expiresOn, extendedExpiresOn }) {
  const { exp } = jwtClaims(accessToken);
  if (Number.isFinite(exp)) return Math.floor(exp);
  const more = extendedExpiresOn - expiresOn / 1000; // Himmelblau 3.1: EX-09.
  if (expiresOn >= 1e11 && more > 1 && more <= 110_000) return extendedExpiresOn;
  if (!/^\d+$/.test(String(expiresOn))) throw malformed("it does not say when the token expires");
  return expiresOn < 1e11 ? Number(expiresOn) : Math.floor(expiresOn / 1000);
}

function accountOfToken({ idToken, clientInfo }) {
  const { oid, tid, preferred_username: username, name } = jwtClaims(idToken);
  const { uid, utid } = decode(String(clientInfo));
  const names = { environment: "login.windows.net", username, name };
  return tid && uid ? { homeAccountId: `${uid}.${utid}`, localAccountId: oid, realm: tid, ...names } : null;
}

const comparable = (scope) => scope.toLowerCase().replace(GRAPH, "");
const isNeverDeclined = (scope) => /(^|\/)\.default$|^(openid|profile|offline_access|email)$/i.test(scope);

function declined(declinedScopes) {
  const details = { status: "ApiContractViolation", declinedScopes };
  return new Failure("declined", `Not granted: ${declinedScopes.join(" ")}. Ask for consent, with full names.`, details);
}

/** Reads a reply to a request for a token with these parameters. */
export function tokenOf({ brokerTokenResponse: response }, asked) {
  const accessToken = credentialOf(response, "accessToken");
  if (response.idToken) credentialOf(response, "idToken");
  const tokenType = TOKEN_TYPES[String(response.accessTokenType ?? 0).toLowerCase()];
  if (!tokenType || (tokenType === "pop" && !asked.popParams)) throw malformed("the token's type is not what was asked for");
  if (tokenType === "Bearer" && asked.popParams?.uriHost) throw unsupported();
  const account = response.account?.homeAccountId ? response.account : null;
  if (!isFor(asked, { ...response, account })) throw brokerFailure("ApiContractViolation", "the token is for somebody else");
  const granted = [response.grantedScopes ?? ""].flat().join(" ").split(" ").filter(Boolean);
  const scopes = granted.length > 0 ? granted : asked.requestedScopes;
  const present = scopes.map(comparable);
  const missing = asked.requestedScopes.filter((scope) => !isNeverDeclined(scope) && !present.includes(comparable(scope)));
  if (missing.length > 0) throw declined(missing);
  const owner = account ?? asked.account ?? accountOfToken(response);
  return { accessToken, tokenType, expiresOn: expiry(response), scopes, idToken: response.idToken, account: owner };
}
