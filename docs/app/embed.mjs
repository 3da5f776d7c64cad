/** Makes the built page one file: styles, program, worker, runtime and model, the larger ones gzipped and in base64. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = new URL("dist/", import.meta.url);
const assets = readdirSync(new URL("assets/", dist));
const asset = (pattern) => {
  const found = assets.filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`Expected one file ${pattern} in dist/assets, found ${found.join(", ") || "none"}.`);
  return readFileSync(new URL(`assets/${found[0]}`, dist));
};
const program = asset(/^index-.*\.js$/).toString().replaceAll("</script", "<\\/script");
const packed = {
  "worker.js": asset(/^worker-.*\.js$/),
  "runtime.mjs": asset(/\.mjs$/),
  "runtime.wasm": asset(/\.wasm$/),
  ...Object.fromEntries(["model.onnx", "facts.json", "specifications.json"].map((name) => [name, readFileSync(new URL(`model/${name}`, dist))])),
};
const holding = Object.entries(packed).map(
  ([name, content]) => `<script type="application/octet-stream" id="packed-${name}">${gzipSync(content, { level: 9 }).toString("base64")}</script>`,
);
const hash = createHash("sha256").update(program).digest("base64");
const policy = [
  "default-src 'none'",
  `script-src 'sha256-${hash}' blob: 'wasm-unsafe-eval'`,
  "worker-src blob:",
  "connect-src blob: data: https: http://127.0.0.1:* http://localhost:*",
  "style-src 'unsafe-inline'",
  "img-src data: blob:",
].join("; ");
const page = readFileSync(new URL("index.html", dist), "utf8")
  .replace(/<script type="module"[^>]*><\/script>\s*/, "")
  .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${asset(/\.css$/)}</style>`)
  .replace(/(http-equiv="Content-Security-Policy" content=")[^"]*/, (_, start) => start + policy)
  .replace("</body>", () => `${holding.join("\n")}\n<script type="module">${program}</script>\n</body>`);
if (/(src|href)="\.\//.test(page)) throw new Error("The page still refers to other files.");
writeFileSync(new URL("index.html", dist), page);
for (const folder of ["assets", "model"]) rmSync(new URL(folder, dist), { recursive: true });
console.log(`dist/index.html is the whole page, ${(page.length / 1e6).toFixed(1)} MB`);
