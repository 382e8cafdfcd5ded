// Knocks once at a gateway, as a client of OpenClaw does, and prints what came of it as one line
// of JSON.
//
//   node tests/e2e/knock.mjs URL [OPTION…]
//
// URL is ws://HOST:PORT, or the path of a unix socket.
//
//   --token T               the shared token
//   --device NAME           prove a device; the same name is the same device (without: no device)
//   --identity FILE         prove the device whose keys a command line of OpenClaw keeps there
//   --client ID/MODE        cli/cli without
//   --scopes A,B            operator.read,operator.write without
//   --role ROLE             operator without
//   --host HOST             the Host header, where it is not that of the URL
//   --header 'NAME: VALUE'  one more header; may be given again
//   --call METHOD JSON      call a method once admitted; its answer is `result` or `error`
//
// Printed: { "outcome": "admitted", "scopes", "deviceToken", "connection" }
//       or { "outcome": "refused", "code", "reason", "requestId", "message", "close" }
//       or { "outcome": "http", "status" }
//       or { "outcome": "none", "why" }.
// The exit code is 0 when admitted, else 1.

import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";

const ASKED = { client: "cli/cli", role: "operator", scopes: "operator.read,operator.write", header: [] };
const TIMEOUT_MS = 8000;

function options(words) {
  const [url, ...rest] = words;
  if (!url) throw new Error("usage: knock.mjs URL [OPTION…]");
  const asked = { ...ASKED, url };
  while (rest.length > 0) {
    const name = rest.shift().replace(/^--/, "");
    if (name === "call") asked.call = { method: rest.shift(), params: JSON.parse(rest.shift()) };
    else if (name === "header") asked.header = [...asked.header, rest.shift()];
    else asked[name] = rest.shift();
  }
  return asked;
}

function device(asked) {
  const key = asked.identity ? kept(asked.identity) : named(asked.device);
  const publicKey = Buffer.from(crypto.createPublicKey(key).export({ format: "jwk" }).x, "base64url");
  return { key, publicKey, id: crypto.createHash("sha256").update(publicKey).digest("hex") };
}

function kept(file) {
  return crypto.createPrivateKey(JSON.parse(fs.readFileSync(file, "utf8")).privateKeyPem);
}

// The key comes from the name alone, so that no file has to keep it.
function named(name) {
  const seed = crypto.createHash("sha256").update(`knock ${name}`).digest();
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  return crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" });
}

function connectFrame(asked, nonce) {
  const [id, mode] = asked.client.split("/");
  const scopes = asked.scopes ? asked.scopes.split(",") : [];
  const params = {
    minProtocol: 3,
    maxProtocol: 4,
    client: { id, mode, version: "1.0.0", platform: "linux" },
    role: asked.role,
    scopes,
  };
  if (asked.token) params.auth = { token: asked.token };
  if (asked.device || asked.identity) {
    const { key, publicKey, id: deviceId } = device(asked);
    const signedAt = Date.now();
    const signed = ["v3", deviceId, id, mode, asked.role, scopes.join(","), signedAt, asked.token ?? "", nonce, "linux", ""];
    const signature = crypto.sign(null, Buffer.from(signed.join("|")), key).toString("base64url");
    params.device = { id: deviceId, publicKey: publicKey.toString("base64url"), signature, signedAt, nonce };
  }
  return { type: "req", id: "connect", method: "connect", params };
}

// Node's own WebSocket takes neither a unix socket nor a Host header, so the few frames that are
// needed are made here.
function frame(text) {
  const payload = Buffer.from(text);
  const mask = crypto.randomBytes(4);
  const length = Buffer.alloc(payload.length < 126 ? 2 : 4);
  length[0] = 0x81;
  if (payload.length < 126) length[1] = 0x80 | payload.length;
  else {
    length[1] = 0x80 | 126;
    length.writeUInt16BE(payload.length, 2);
  }
  return Buffer.concat([length, mask, payload.map((byte, at) => byte ^ mask[at & 3])]);
}

// Takes whole frames off the front of what has arrived. A server masks nothing, and this one
// splits nothing.
function* frames(bytes) {
  let left = bytes;
  while (left.length >= 2) {
    let size = left[1] & 0x7f;
    let at = 2;
    if (size === 126) {
      if (left.length < 4) break;
      size = left.readUInt16BE(2);
      at = 4;
    } else if (size === 127) {
      if (left.length < 10) break;
      size = Number(left.readBigUInt64BE(2));
      at = 10;
    }
    if (left.length < at + size) break;
    yield { opcode: left[0] & 0x0f, payload: left.subarray(at, at + size) };
    left = left.subarray(at + size);
  }
  return left;
}

function request(asked) {
  const headers = [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Version", "13"],
    ["Sec-WebSocket-Key", crypto.randomBytes(16).toString("base64")],
    ...asked.header.map((header) => header.match(/^([^:]*):\s*(.*)$/).slice(1)),
  ];
  if (asked.url.startsWith("/")) {
    return { socketPath: asked.url, headers: [["Host", asked.host ?? "localhost"], ...headers].flat() };
  }
  const { hostname, port, host } = new URL(asked.url);
  return { host: hostname.replace(/[[\]]/g, ""), port, headers: [["Host", asked.host ?? host], ...headers].flat() };
}

function knock(asked) {
  return new Promise((resolve) => {
    let answer;
    const say = (outcome) => resolve({ ...answer, ...outcome });
    setTimeout(() => say({ outcome: "none", why: "time is up" }), TIMEOUT_MS).unref();
    const asking = http.request(request(asked));
    asking.on("error", (error) => say({ outcome: "none", why: error.message }));
    asking.on("response", (response) => {
      response.resume();
      say({ outcome: "http", status: response.statusCode });
    });
    asking.on("upgrade", (_, socket, head) => {
      let waiting = head;
      const send = (message) => socket.write(frame(JSON.stringify(message)));
      const heard = (message) => {
        if (message.event === "connect.challenge") send(connectFrame(asked, message.payload.nonce));
        else if (message.id === "connect" && message.ok) {
          const { auth, server } = message.payload;
          answer = {
            outcome: "admitted",
            scopes: auth?.scopes ?? [],
            deviceToken: Boolean(auth?.deviceToken),
            connection: server?.connId,
          };
          if (!asked.call) return say({});
          send({ type: "req", id: "call", ...asked.call });
        } else if (message.id === "connect") {
          const { code, message: text, details } = message.error;
          answer = { outcome: "refused", code: details?.code ?? code, reason: details?.reason, requestId: details?.requestId, message: text };
        } else if (message.id === "call") {
          say(message.ok ? { result: message.payload } : { error: message.error });
        }
      };
      const take = (bytes) => {
        waiting = Buffer.concat([waiting, bytes]);
        const whole = frames(waiting);
        let next = whole.next();
        for (; !next.done; next = whole.next()) {
          const { opcode, payload } = next.value;
          if (opcode === 1) heard(JSON.parse(payload.toString()));
          if (opcode === 8) say({ outcome: "refused", close: [payload.readUInt16BE(0), payload.subarray(2).toString()] });
        }
        waiting = next.value;
      };
      socket.on("data", take);
      socket.on("error", (error) => say({ outcome: "none", why: error.message }));
      socket.on("close", () => say({ outcome: answer?.outcome ?? "none", why: "the connection ended" }));
      take(Buffer.alloc(0));
    });
    asking.end();
  });
}

const outcome = await knock(options(process.argv.slice(2)));
console.log(JSON.stringify(outcome));
process.exit(outcome.outcome === "admitted" ? 0 : 1);
