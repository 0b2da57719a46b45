// The calls of the Linux identity broker: PROTOCOL.md, "Methods".
import { randomUUID } from "node:crypto";
import dbus from "dbus-next";
import { accountsOf, cookiesOf, Failure, failureOfBusError, parseReply, textOf, tokenOf } from "./replies.mjs";

const NAME = "com.microsoft.identity.broker1";
const BROKER = { destination: NAME, path: "/com/microsoft/identity/broker1" };
const BUS = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };
const OWNER_CHANGES = `type='signal',sender='${BUS.destination}',member='NameOwnerChanged',arg0='${NAME}'`;
const TIME_LIMIT = 120;
const [SILENT, PASSWORD, INTERACTIVE, COOKIE] = [1, 3, 6, 8];
const CANCEL = {
  error: {
    context: "The InteractiveRequest was canceled on behalf of the user",
    diagnostics: null, errorCode: 0, status: 7, subStatus: 0, tag: 579379414,
  },
};

const homeTenant = (account) => account.homeAccountId.split(".")[1];
const isHomeRecord = (account) => account.realm === homeTenant(account);

function authorityFor(authority, account) {
  const url = authority.replace(/\/+$/, "").replace(/^https:\/\/(login|sts)\.windows\.net/i, "https://login.microsoftonline.com");
  return account ? url.replace(/\/(common|organizations)$/i, `/${account.realm || homeTenant(account)}`) : url;
}

function popParams({ httpMethod, url, nonce, clientClaims, kid }) {
  const { host, pathname } = url ? new URL(url) : {};
  const scheme = kid ? { authenticationScheme: "pop", kid } : {};
  return { httpMethod, uriHost: host, uriPath: pathname, nonce, clientClaims, ...scheme };
}

function keyIdOf(reqCnf) {
  try {
    const text = reqCnf.startsWith("{") ? reqCnf : Buffer.from(reqCnf, "base64url").toString();
    return textOf(JSON.parse(text), "kid");
  } catch {
    throw new Failure("broker", "req_cnf has no kid", { status: "ApiContractViolation", tag: "5epa8", codes: [], subError: "" });
  }
}

const requestedScopes = (scopes) =>
  scopes.flatMap((scope) => scope.split(" ")).filter((scope) => !["openid", "profile", "offline_access"].includes(scope));

/** One application's view of the broker; authority, clientId, redirectUri as registered, timeLimit in seconds. */
export class Client {
  constructor(bus, { clientId, redirectUri, authority, timeLimit = TIME_LIMIT }) {
    Object.assign(this, { bus, clientId, redirectUri, authority, timeLimit });
  }

  async #send(message, timeLimit) {
    let timer;
    const limit = new Promise((_, reject) => {
      const late = () => reject(new Failure("timeout", `${message.member}: no reply in ${timeLimit} s`));
      if (timeLimit !== null) timer = setTimeout(late, timeLimit * 1000);
    });
    try {
      return (await Promise.race([this.bus.call(new dbus.Message(message)), limit])).body;
    } catch (error) {
      throw error instanceof dbus.DBusError ? failureOfBusError(error.type, String(error.text ?? "")) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #call(member, request, correlationId = randomUUID(), timeLimit = this.timeLimit) {
    const body = ["0.0", correlationId, JSON.stringify(request)];
    const message = { ...BROKER, interface: "com.microsoft.identity.Broker1", member, signature: "sss", body };
    return parseReply(await this.#send(message, timeLimit));
  }

  #authParameters(authorizationType, account, username, options) {
    const { req_cnf: reqCnf, ...extra } = options.extraQueryParameters ?? {};
    const pop = reqCnf ? { kid: keyIdOf(reqCnf) } : options.pop && popParams(options.pop);
    return {
      account, authorizationType, username: username ?? "",
      authority: authorityFor(this.authority), clientId: this.clientId, redirectUri: this.redirectUri,
      requestedScopes: requestedScopes(options.scopes),
      accessTokenToRenew: options.accessTokenToRenew ?? "", decodedClaims: options.claims ?? "",
      additionalQueryParametersForAuthorization: extra, popParams: pop ?? null, uxContextHandle: -1,
      ...(account === null && { isSignIn: true }),
    };
  }

  async getAccounts(correlationId) {
    const request = { clientId: this.clientId, redirectUri: this.redirectUri };
    return accountsOf(await this.#call("getAccounts", request, correlationId));
  }

  async findAccount({ username, tenant }) {
    const same = (account) => account.username?.toLowerCase() === username.toLowerCase();
    const records = (await this.getAccounts()).filter(same);
    if (tenant) return records.find((account) => account.realm === tenant) ?? null;
    return records.find(isHomeRecord) ?? records[0] ?? null;
  }

  async getLinuxBrokerVersion() {
    const reply = await this.#call("getLinuxBrokerVersion", { msalCppVersion: "12.0.2" });
    return textOf(reply, "linuxBrokerVersion");
  }

  async #soleAccount(correlationId) {
    const accounts = await this.getAccounts(correlationId);
    const users = new Set(accounts.map((account) => account.homeAccountId));
    return users.size === 1 ? accounts.find(isHomeRecord) ?? accounts[0] : null;
  }

  async acquireTokenSilently(options) {
    const correlationId = randomUUID();
    const account = options.account ?? await this.#soleAccount(correlationId);
    const authParameters = this.#authParameters(SILENT, account, account?.username, options);
    authParameters.authority = authorityFor(this.authority, options.account);
    const reply = await this.#call("acquireTokenSilently", { authParameters }, correlationId);
    return tokenOf(reply, authParameters.requestedScopes, account);
  }

  async acquireTokenByUsernamePassword(options) {
    const authParameters = this.#authParameters(PASSWORD, null, options.username, options);
    authParameters.password = options.password;
    const reply = await this.#call("acquireTokenSilently", { authParameters });
    return tokenOf(reply, authParameters.requestedScopes, null);
  }

  /** Signs in; when the signal aborts, the broker is asked to end that, and its reply is still waited for. */
  async acquireTokenInteractively(options, signal) {
    const account = options.prompt === "select_account" ? null : options.account ?? null;
    const hint = options.prompt === "select_account" ? "" : options.loginHint;
    const authParameters = this.#authParameters(INTERACTIVE, account, account?.username ?? hint, options);
    authParameters.authority = authorityFor(this.authority, account);
    authParameters.prompt = options.prompt;
    if (account) authParameters.additionalQueryParametersForAuthorization.hsu = "1";
    const handle = options.parentWindowHandle;
    if (handle) authParameters.parentWindow = { handle };
    const cancel = () => this.#call("cancelInteractiveFlow", CANCEL).catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    try {
      const request = { authParameters, parentWindowHandle: handle };
      const reply = await this.#call("acquireTokenInteractively", request, randomUUID(), null);
      return tokenOf(reply, authParameters.requestedScopes, account);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async acquirePrtSsoCookie(options) {
    const { account, ssoUrl } = options;
    const authParameters = { ...this.#authParameters(COOKIE, account, account.username, options), ssoUrl };
    return cookiesOf(await this.#call("acquirePrtSsoCookie", { account, authParameters, ssoUrl }));
  }

  async generateSignedHttpRequest({ account, pop }) {
    const params = { ...popParams(pop), authenticationScheme: "pop", homeAccountId: account.homeAccountId };
    const reply = await this.#call("generateSignedHttpRequest", { clientId: this.clientId, popParams: params });
    return textOf(reply, "signedHttpRequest");
  }

  async removeAccount({ account }) {
    try {
      await this.#call("removeAccount", { clientId: this.clientId, account });
    } catch (error) {
      if (error.family !== "malformed") throw error;
    }
  }

  async isAvailable() {
    const ping = { ...BROKER, interface: "org.freedesktop.DBus.Peer", member: "Ping" };
    return this.#send(ping, this.timeLimit).then(() => true, () => false);
  }

  /** Tells of the broker's coming and going until the signal aborts. */
  async watchPresence(tell, signal) {
    let online;
    const update = (now) => {
      if (now !== online) tell((online = now) ? "online" : "offline");
    };
    const listen = ({ sender, member, body }) => {
      if (online === undefined || sender !== BUS.destination || member !== "NameOwnerChanged" || body[0] !== NAME) return;
      if (body[1]) update(false);
      if (body[2]) update(true);
    };
    const ask = (member, text) => this.#send({ ...BUS, member, signature: "s", body: [text] }, this.timeLimit);
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    this.bus.on("message", listen);
    await ask("AddMatch", OWNER_CHANGES);
    update((await ask("NameHasOwner", NAME))[0]);
    await aborted;
    this.bus.off("message", listen);
    await ask("RemoveMatch", OWNER_CHANGES);
  }
}
