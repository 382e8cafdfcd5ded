// Sends TCP connections on, as a container's published port does, or a proxy on the same host.
//
//   node tests/e2e/forward.mjs LISTEN-ADDRESS PORT TARGET-ADDRESS PORT ['NAME: VALUE'…]
//
// Each header is put into the head of the request, behind what the client sent; {client} in it is
// the client's address. Prints a line once it listens.

import net from "node:net";

const [listenAt, listenPort, target, targetPort, ...headers] = process.argv.slice(2);

const server = net.createServer((client) => {
  const there = net.connect(Number(targetPort), target);
  const end = () => {
    client.destroy();
    there.destroy();
  };
  client.on("error", end);
  client.on("close", end);
  there.on("error", end);
  there.on("close", end);
  there.pipe(client);
  if (headers.length === 0) return client.pipe(there);

  let head = Buffer.alloc(0);
  const gather = (bytes) => {
    head = Buffer.concat([head, bytes]);
    const at = head.indexOf("\r\n\r\n");
    if (at < 0) return;
    client.off("data", gather);
    const from = client.remoteAddress.replace(/^::ffff:/, "");
    const added = headers.map((header) => `\r\n${header.replaceAll("{client}", from)}`).join("");
    there.write(Buffer.concat([head.subarray(0, at), Buffer.from(added), head.subarray(at)]));
    client.pipe(there);
  };
  client.on("data", gather);
});
server.listen(Number(listenPort), listenAt, () => console.log("listening"));
