/** Files of the page. The built page holds them itself, packed, so that it is one file and opens from disk as well;
 *  while it is developed they are fetched. */

import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";

/** Where each lies while the page is developed; `embed.mjs` packs the same names. */
const ADDRESSES = {
  "runtime.mjs": mjs,
  "runtime.wasm": wasm,
  "model.onnx": "model/model.onnx",
  "facts.json": "model/facts.json",
  "specifications.json": "model/specifications.json",
};

export type Assets = Record<keyof typeof ADDRESSES, ArrayBuffer>;

export async function allAssets(): Promise<Assets> {
  const names = Object.keys(ADDRESSES) as (keyof Assets)[];
  const contents = await Promise.all(names.map(async (name) => packed(name) ?? fetched(ADDRESSES[name])));
  return Object.fromEntries(names.map((name, i) => [name, contents[i]])) as unknown as Assets;
}

export async function workerOfPage(): Promise<Worker> {
  const own = packed("worker.js");
  if (!own) return new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  return new Worker(URL.createObjectURL(new Blob([await own], { type: "text/javascript" })));
}

/** The content of a file that the page holds, gzipped and in base64; null if it does not. */
function packed(name: string): Promise<ArrayBuffer> | null {
  const text = document.getElementById(`packed-${name}`)?.textContent;
  if (!text) return null;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

async function fetched(path: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(path, document.baseURI));
  if (!response.ok) throw new Error(`${path} (HTTP ${response.status})`);
  return response.arrayBuffer();
}
