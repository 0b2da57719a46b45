// The calls of the Linux identity broker (PROTOCOL.md, "Methods"), asked for and answered in lines (CONFORMANCE.md).
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import dbus from "dbus-next";
import * as replies from "./replies.mjs";

const NAME = "com.microsoft.identity.broker1";
const BROKER = { destination: NAME, path: "/com/microsoft/identity/broker1" };
const BUS = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };
const OWNER_CHANGES = `type='signal',sender='${BUS.destination}',member='NameOwnerChanged',arg0='${NAME}'`;
const [SILENT, PASSWORD, INTERACTIVE, COOKIE] = [1, 3, 6, 8];
const CANCELED = { status: 7, tag: 579379414, errorCode: 0, subStatus: 0, diagnostics: null };
const CANCEL = { error: { ...CANCELED, context: "The InteractiveRequest was canceled on behalf of the user" } };

const homeTenant = (account) => account.homeAccountId.split(".")[1];
const isPersonal = ({ realm }) => realm === "9188040d-6c67-4c5b-b112-36a304b66dad";
const ofHome = (accounts) => accounts.find((account) => account.realm === homeTenant(account)) ?? accounts[0] ?? null;
const TENANT = /^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|([0-9a-z]([0-9a-z-]*[0-9a-z])?\.)+[a-z]([0-9a-z-]*[0-9a-z])?)$/i;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function authorityFor(authority, account) {
  const url = authority.replace(/\/+$/, "").replace(/\/\/(login|sts)\.windows\.net/i, "//login.microsoftonline.com");
  if (!account) return url;
  const realm = TENANT.test(account.realm) ? account.realm : homeTenant(account);
  return url.replace(/\/(common|organizations)$/i, `/${realm}`);
}

function popParams({ httpMethod, url, nonce, clientClaims, kid }) {
  const { host: uriHost, pathname: uriPath } = url ? new URL(url) : {};
  return { httpMethod, uriHost, uriPath, nonce, clientClaims, ...(kid && { authenticationScheme: "pop", kid }) };
}

function keyIdOf(reqCnf) {
  const { kid } = replies.decode(reqCnf);
  if (!kid) throw replies.brokerFailure("ApiContractViolation", "req_cnf has no kid", "5epa8");
  return kid;
}

/** The challenge as it is, or with the capabilities merged in. */
function claimsOf({ claims, clientCapabilities: values }) {
  if (!values) return claims;
  const challenge = JSON.parse(claims || "{}");
  return JSON.stringify({ ...challenge, access_token: { ...challenge.access_token, xms_cc: { values } } });
}

// The unique name of the owner that refused a sign-in without an account.
let ownerThatWantsAccount = null;

/** One operation of an application, a method for each kind. timeLimit is in seconds, for calls that wait for nobody. */
class Operation {
  constructor(bus, { clientId, redirectUri, authority, timeLimit = 120 }) {
    Object.assign(this, { bus, clientId, redirectUri, authority, timeLimit, correlationId: randomUUID() });
  }

  async #send(message, timeLimit = this.timeLimit) {
    const late = new replies.Failure("timeout", `${message.member}: no reply in ${timeLimit} s.`);
    let timer;
    const limit = new Promise((_, reject) => { timer = timeLimit && setTimeout(reject, timeLimit * 1000, late); });
    try {
      return (await Promise.race([this.bus.call(new dbus.Message(message)), limit])).body;
    } catch (error) {
      throw error instanceof dbus.DBusError ? replies.failureOfBusError(error.type, String(error.text)) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #call(member, request, { timeLimit, correlationId = this.correlationId } = {}) {
    const body = ["0.0", correlationId, JSON.stringify(request)];
    const message = { ...BROKER, interface: "com.microsoft.identity.Broker1", member, signature: "sss", body };
    return replies.parseReply(member, await this.#send(message, timeLimit));
  }

  #authParameters(authorizationType, account, options, more) {
    const { req_cnf: reqCnf, ...extra } = options.extraQueryParameters ?? {};
    const scopes = options.scopes.flatMap((scope) => scope.split(" "));
    return {
      account, authorizationType, clientId: this.clientId, redirectUri: this.redirectUri,
      authority: authorityFor(this.authority), isSignIn: account ? undefined : true,
      username: account?.username ?? options.username ?? options.loginHint ?? "",
      requestedScopes: scopes.filter((scope) => !["openid", "profile", "offline_access"].includes(scope)),
      accessTokenToRenew: options.accessTokenToRenew, decodedClaims: claimsOf(options), prompt: options.prompt,
      popParams: reqCnf ? { kid: keyIdOf(reqCnf) } : options.pop && popParams(options.pop),
      additionalQueryParametersForAuthorization: extra, ...more,
    };
  }

  async #acquireToken(method, authParameters, timeLimit) {
    const parentWindowHandle = authParameters.parentWindow?.handle;
    const reply = await this.#call(method, { authParameters, parentWindowHandle }, { timeLimit });
    return { token: replies.tokenOf(reply, authParameters) };
  }

  async getAccounts() {
    const reply = await this.#call("getAccounts", { clientId: this.clientId, redirectUri: this.redirectUri });
    return { accounts: replies.accountsOf(reply) };
  }

  async findAccount({ username, tenant }) {
    const { accounts } = await this.getAccounts();
    const named = accounts.filter((account) => account.username?.toLowerCase() === username.toLowerCase());
    const exact = named.filter((account) => account.username === username);
    const records = this.#workBeforePersonal(exact.length > 0 ? exact : named);
    return { account: ofHome(tenant ? records.filter((account) => account.realm === tenant) : records) };
  }

  async getLinuxBrokerVersion() {
    const reply = await this.#call("getLinuxBrokerVersion", { msalCppVersion: "12.0.2" });
    return { version: replies.textOf(reply, "linuxBrokerVersion") };
  }

  async acquireTokenSilently({ account, ...options }) {
    const more = { authority: authorityFor(this.authority, account) };
    const accounts = account ? [account] : (await this.getAccounts()).accounts;
    const sole = accounts.every((each) => each.homeAccountId === accounts[0].homeAccountId) ? ofHome(accounts) : null;
    return this.#acquireToken("acquireTokenSilently", this.#authParameters(SILENT, sole, options, more));
  }

  async acquireTokenByUsernamePassword({ password, ...options }) {
    return this.#acquireToken("acquireTokenSilently", this.#authParameters(PASSWORD, null, options, { password }));
  }

  /** Of accounts of one UPN the work accounts, where the authority is for them. */
  #workBeforePersonal(accounts) {
    const work = accounts.filter((account) => !isPersonal(account));
    return work.length === 0 || /\/(common|consumers)$/.test(this.authority) ? accounts : work;
  }

  async #owner() {
    const ask = this.#send({ ...BUS, member: "GetNameOwner", signature: "s", body: [NAME] });
    return ask.then(([owner]) => owner, () => null);
  }

  /** The only user's account, or the hint's; null if there is none. */
  async #onlyUser(hint = "") {
    const { accounts } = await this.getAccounts();
    const named = accounts.filter(({ username = "" }) => !hint || username.toLowerCase() === hint.toLowerCase());
    const records = hint ? this.#workBeforePersonal(named) : named;
    if (new Set(records.map((account) => account.homeAccountId)).size > 1) {
      throw replies.brokerFailure("ApiContractViolation", "several users are signed in: name the account");
    }
    return ofHome(records);
  }

  /** Signs in; with the only user's account if the broker wants one and the caller has not named it. */
  async acquireTokenInteractively(options, signal) {
    const signIn = (account) => this.#signIn({ ...options, account }, signal);
    if (options.account || options.prompt === "select_account") return signIn(options.account);
    const isWanted = ownerThatWantsAccount !== null && ownerThatWantsAccount === await this.#owner();
    const known = isWanted ? await this.#onlyUser(options.loginHint) : null;
    if (known) return signIn(known);
    const refusal = await signIn(null).then((token) => ({ token }), (error) => error);
    if (refusal.token) return refusal.token;
    if (!refusal.wantsAccount || isWanted) throw refusal;
    ownerThatWantsAccount = await this.#owner();
    const account = await this.#onlyUser(options.loginHint);
    if (account) return signIn(account);
    throw options.loginHint ? refusal : replies.brokerFailure("InteractionRequired", "nobody is signed in to the broker");
  }

  /** Signs in. When the signal aborts the broker is asked to stop, and its reply still waited for. */
  async #signIn({ account = null, parentWindowHandle: handle, ...options }, signal) {
    if (options.prompt === "select_account") account = options.loginHint = null;
    const more = { authority: authorityFor(this.authority, account), parentWindow: handle && { handle } };
    const authParameters = this.#authParameters(INTERACTIVE, account, options, more);
    if (account) authParameters.additionalQueryParametersForAuthorization.hsu = "1";
    const cancel = () => this.#call("cancelInteractiveFlow", CANCEL, { correlationId: randomUUID() }).catch(() => {});
    signal.addEventListener("abort", cancel);
    return this.#acquireToken("acquireTokenInteractively", authParameters, null);
  }

  async acquirePrtSsoCookie({ account, ssoUrl, ...options }) {
    const authParameters = this.#authParameters(COOKIE, account, options, { ssoUrl });
    const reply = await this.#call("acquirePrtSsoCookie", { account, authParameters, ssoUrl });
    return { cookies: replies.cookiesOf(reply) };
  }

  async generateSignedHttpRequest({ account: { homeAccountId }, pop }) {
    const params = { ...popParams(pop), authenticationScheme: "pop", homeAccountId };
    const reply = await this.#call("generateSignedHttpRequest", { clientId: this.clientId, popParams: params });
    return { signedHttpRequest: replies.credentialOf(reply, "signedHttpRequest") };
  }

  async removeAccount({ account }) {
    const reply = await this.#call("removeAccount", { clientId: this.clientId, account });
    return { removed: replies.removalOf(reply) };
  }

  async isAvailable() {
    const ping = this.#send({ ...BROKER, interface: "org.freedesktop.DBus.Peer", member: "Ping" });
    return { available: await ping.then(() => true, () => false) };
  }

  /** Tells of the broker's coming and going until the signal aborts. */
  async watchPresence({ id }, signal) {
    let online;
    const update = (now) => now === online || say({ id, presence: (online = now) ? "online" : "offline" });
    const listen = ({ sender, member, body: [name, before, after] }) => {
      if (online === undefined || sender !== BUS.destination || member !== "NameOwnerChanged" || name !== NAME) return;
      if (before) update(false);
      if (after) update(true);
    };
    const ask = (member, text) => this.#send({ ...BUS, member, signature: "s", body: [text] });
    this.bus.on("message", listen);
    await ask("AddMatch", OWNER_CHANGES);
    update((await ask("NameHasOwner", NAME))[0]);
    if (!signal.aborted) await once(signal, "abort");
    this.bus.off("message", listen);
    await ask("RemoveMatch", OWNER_CHANGES);
  }
}

const bus = dbus.sessionBus();
const pending = new Map();

async function run(line) {
  const abort = new AbortController();
  pending.set(line.id, abort);
  const outcome = await new Operation(bus, line)[line.operation](line, abort.signal).catch((error) => {
    if (!(error instanceof replies.Failure)) throw error;
    return { error: { family: error.family, message: error.message, ...error.details } };
  });
  pending.delete(line.id);
  say({ id: line.id, outcome: abort.signal.aborted ? { canceled: true } : outcome });
}

for await (const text of createInterface({ input: process.stdin })) {
  const line = JSON.parse(text);
  if (line.operation === "cancel") pending.get(line.cancels)?.abort();
  else run(line);
}
process.exit();
