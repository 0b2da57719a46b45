// The driver: CONFORMANCE.md, "The driver's side".
import { createInterface } from "node:readline";
import dbus from "dbus-next";
import { Client } from "./client.mjs";
import { Failure } from "./replies.mjs";

const OUTCOMES = {
  getAccounts: "accounts", findAccount: "account", getLinuxBrokerVersion: "version", acquireTokenSilently: "token",
  acquireTokenInteractively: "token", acquireTokenByUsernamePassword: "token", acquirePrtSsoCookie: "cookies",
  generateSignedHttpRequest: "signedHttpRequest", isAvailable: "available",
};
const bus = dbus.sessionBus();
const pending = new Map();

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function outcomeOf(line, signal) {
  const client = new Client(bus, line);
  switch (line.operation) {
    case "watchPresence":
      await client.watchPresence((presence) => say({ id: line.id, presence }), signal);
      return {};
    case "removeAccount":
      await client.removeAccount(line);
      return { removed: true };
    case "getAccounts":
      return { accounts: await client.getAccounts() };
    default:
      return { [OUTCOMES[line.operation]]: await client[line.operation](line, signal) };
  }
}

async function run(line) {
  const abort = new AbortController();
  pending.set(line.id, abort);
  const outcome = await outcomeOf(line, abort.signal).catch((error) => {
    if (!(error instanceof Failure)) throw error;
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
