// What does Microsoft's MSAL for Node.js make of the broker on this session bus? A step a line on stdin, as JSON; an
// outcome a line on stdout.
//
// One process a scenario: the native module looks for the broker once, when it is loaded. The arguments are the client
// id, the authority and, where there are any, the client capabilities, separated by commas. The first line that comes
// out says what was loaded: `isBrokerAvailable`, `startupError`. A step is an object with
// - `call`: a method of `PublicClientApplication`;
// - `request`: its argument, as MSAL takes it; an account in it is one that came out before;
// - `windowHandle`: a number, which becomes the request's eight bytes;
// - `limit`: seconds after which the driver gives up on the call, 30 if not given.
// An outcome has `result`, or `error` with what MSAL's exceptions carry, or `timedOut`.

import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { PublicClientApplication } from "@azure/msal-node";
import { NativeBrokerPlugin } from "@azure/msal-node-extensions";
import { msalNodeRuntime } from "@azure/msal-node-runtime";

const [clientId, authority, capabilities] = process.argv.slice(2);
const plugin = new NativeBrokerPlugin();
const application = new PublicClientApplication({
  auth: { clientId, authority, ...(capabilities && { clientCapabilities: capabilities.split(",") }) },
  broker: { nativeBrokerPlugin: plugin },
});

function say(outcome) {
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

function windowHandle(number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(number));
  return bytes;
}

// Where there is no broker, MSAL would open a browser instead.
async function openBrowser() {
  throw new Error("the browser would be opened");
}

function described(error) {
  const broker = error.platformBrokerError;
  return {
    name: error.name,
    code: error.errorCode,
    message: error.errorMessage ?? error.message,
    correlationId: error.correlationId,
    ...(broker && { broker: { ...broker, message: broker.message } }),
  };
}

async function carryOut({ call, request, windowHandle: handle, limit = 30 }) {
  const argument = { ...request };
  if (call === "acquireTokenInteractive") {
    argument.openBrowser = openBrowser;
    if (handle !== undefined) {
      argument.windowHandle = windowHandle(handle);
    }
  }
  const patience = new AbortController();
  const tooLong = sleep(limit * 1000, { timedOut: true }, { signal: patience.signal }).catch(() => {});
  try {
    const done = application[call](argument).then((result) => ({ result: result ?? null }));
    return await Promise.race([done, tooLong]);
  } catch (error) {
    return { error: described(error) };
  } finally {
    patience.abort();
  }
}

say({ isBrokerAvailable: plugin.isBrokerAvailable, startupError: msalNodeRuntime.StartupError ?? null });
for await (const line of createInterface({ input: process.stdin })) {
  say(await carryOut(JSON.parse(line)));
}
// The native module's threads would keep the process. It is not to be killed while it holds one of their locks.
process.exit(0);
