// Opens a page in a Chromium without a window, and prints what became of it as one line of JSON.
//
//   node tests/e2e/control-ui.mjs FOLDER URL SCREENSHOT
//
// FOLDER has the packages `@sparticuz/chromium` and `puppeteer-core`.
//
// Printed: { "title", "asked": how many requests over HTTP, "refused": ["STATUS URL"],
//   "answered": ["METHOD"], "failed": ["METHOD: MESSAGE"] }, the last two of what the page calls over
// its WebSocket.

import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

/** It is over when the page called nothing for as long as this, or at the latest then. */
const QUIET_MS = 3000;
const LATEST_MS = 40_000;

const [folder, url, screenshot] = process.argv.slice(2);
const from = createRequire(path.join(folder, "package.json"));
const load = (name) => import(pathToFileURL(from.resolve(name)));
const { default: chromium } = await load("@sparticuz/chromium");
const { default: puppeteer } = await load("puppeteer-core");

const shown = { title: "", asked: 0, refused: [], answered: [], failed: [] };
const called = new Map();
let last = Date.now();

function sent(text) {
  const { type, id, method } = JSON.parse(text);
  if (type === "req") called.set(id, method);
}

function came(text) {
  const { type, id, ok, error } = JSON.parse(text);
  if (type !== "res" || !called.has(id)) return;
  last = Date.now();
  if (ok) shown.answered.push(called.get(id));
  else shown.failed.push(`${called.get(id)}: ${error?.message}`);
}

const browser = await puppeteer.launch({
  executablePath: await chromium.executablePath(),
  args: ["--no-sandbox", "--no-zygote", "--disable-gpu"],
  headless: "shell",
});
const page = await browser.newPage();
await page.setViewport({ width: 1280, height: 800 });
const watched = await page.createCDPSession();
await watched.send("Network.enable");
watched.on("Network.webSocketFrameSent", ({ response }) => sent(response.payloadData));
watched.on("Network.webSocketFrameReceived", ({ response }) => came(response.payloadData));
page.on("response", (response) => {
  shown.asked += 1;
  if (response.status() >= 400) shown.refused.push(`${response.status()} ${response.url()}`);
});
await page.goto(url, { waitUntil: "load" });
const latest = Date.now() + LATEST_MS;
while (Date.now() < latest && (shown.answered.length === 0 || Date.now() - last < QUIET_MS)) {
  await new Promise((resolve) => setTimeout(resolve, 100));
}
shown.title = await page.title();
if (screenshot !== "/dev/null") fs.writeFileSync(screenshot, await page.screenshot());
await browser.close();
console.log(JSON.stringify(shown));
