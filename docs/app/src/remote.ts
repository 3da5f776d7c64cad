/** Remote files, read by ranges: only the blocks that HDF5 asks for are fetched. And addresses on DANDI. */

import { InputProblem, quotedForShell } from "./recording";

const BLOCK = 2 ** 18;
const MOST_BLOCKS = 16; // of one request, for whoever reads on
const CACHED_BLOCKS = 512; // 128 MiB
const DANDI = "https://api.dandiarchive.org/api";

/** A file at an address, whose blocks are kept while they are used. */
export class RangeFile {
  private blocks = new Map<number, Uint8Array>();
  private next = -1;
  private ahead = 1;
  requests = 0;

  private constructor(private url: string, readonly size: number) {}

  static open(url: string): RangeFile {
    const request = asked(url, 0, BLOCK);
    if (request.status === 416 || (request.status === 200 && !request.response.byteLength)) throw new InputProblem(`${url} is empty.`);
    if (request.status !== 206)
      throw new InputProblem(`${url} is not given in ranges (HTTP ${request.status}), so the page cannot read it: download the file, then drop it here.`);
    const stated = /\/(\d+)$/.exec(request.getResponseHeader("Content-Range") ?? "")?.[1];
    const file = new RangeFile(url, stated ? Number(stated) : sizeOf(url));
    file.keep(0, new Uint8Array(request.response));
    return file;
  }

  /** Fill a buffer with bytes from a position on; returns how many there were. */
  read(buffer: Uint8Array | Int8Array, offset: number, length: number, position: number): number {
    const stop = Math.min(position + length, this.size);
    for (let at = position; at < stop; ) {
      const number = Math.floor(at / BLOCK);
      const block = this.block(number, Math.ceil(stop / BLOCK));
      const from = at - number * BLOCK;
      const count = Math.min(block.length - from, stop - at);
      if (count <= 0) throw new InputProblem(`${this.url} gives fewer bytes than it states.`);
      buffer.set(block.subarray(from, from + count), offset + at - position);
      at += count;
    }
    return Math.max(stop - position, 0);
  }

  private block(number: number, wanted: number): Uint8Array {
    const known = this.blocks.get(number);
    if (known) {
      this.blocks.delete(number);
      this.blocks.set(number, known);
      return known;
    }
    this.ahead = number === this.next ? Math.min(2 * this.ahead, MOST_BLOCKS) : 1;
    const last = Math.min(Math.max(wanted, number + this.ahead), number + MOST_BLOCKS, Math.ceil(this.size / BLOCK));
    const request = asked(this.url, number * BLOCK, Math.min(last * BLOCK, this.size));
    if (request.status !== 206) throw new InputProblem(`${this.url} cannot be read on (HTTP ${request.status}).`);
    this.requests++;
    this.keep(number, new Uint8Array(request.response));
    this.next = last;
    return this.blocks.get(number)!;
  }

  private keep(first: number, bytes: Uint8Array): void {
    for (let i = 0; i * BLOCK < bytes.length; i++) this.blocks.set(first + i, bytes.slice(i * BLOCK, (i + 1) * BLOCK));
    for (const number of this.blocks.keys()) {
      if (this.blocks.size <= CACHED_BLOCKS) break;
      this.blocks.delete(number);
    }
  }
}

/** A request that waits: HDF5 asks for bytes and goes on with them. Only workers may. */
function asked(url: string, first: number, stop: number): XMLHttpRequest {
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  request.responseType = "arraybuffer";
  request.setRequestHeader("Range", `bytes=${first}-${stop - 1}`);
  sent(request, url);
  return request;
}

function sizeOf(url: string): number {
  const request = new XMLHttpRequest();
  request.open("HEAD", url, false);
  sent(request, url);
  const size = Number(request.getResponseHeader("Content-Length"));
  if (!(size > 0)) throw new InputProblem(`${url} does not state its size: download the file, then drop it here.`);
  return size;
}

function sent(request: XMLHttpRequest, url: string): void {
  try {
    request.send();
  } catch {
    throw new InputProblem(`${url} cannot be reached from this page: there is no such server, or it does not allow other sites to read it.`);
  }
  if (request.status === 404) throw new InputProblem(`There is no file at ${url} (HTTP 404).`);
  if (request.status >= 400 && request.status !== 416) throw new InputProblem(`${url} is refused (HTTP ${request.status}).`);
}

/** The address of the bytes: of a file on the web itself, or of an asset of a dandiset. */
export async function resolved(address: string): Promise<{ url: string; name: string }> {
  const text = address.trim();
  const located = /^(?:dandi:\/\/dandi\/|dandi:)?(\d{6})(?:@([^/\s]+)|\/(draft|\d+\.\d+\.\d+)(?=\/))?\/(.+)$/i.exec(text);
  if (located) return asset(DANDI, located[1], located[2] ?? located[3], located[4], text);
  const site = /^https:\/\/(?:gui\.)?dandiarchive\.org\/(?:#\/)?dandiset\/(\d{6})\/([^/?]+)\/files\?.*location=([^&]+\.(?:nwb|zarr))/.exec(text);
  if (site) return asset(DANDI, site[1], site[2], decodeURIComponent(site[3]), text);
  const api = /^(https?:\/\/[^/?#]+\/api)\/dandisets\/(\d{6})\/versions\/([^/]+)\/assets\/?\?path=([^&]+)/.exec(text);
  if (api) return asset(api[1], api[2], api[3], decodeURIComponent(api[4]), text);
  if (!/^https?:\/\//.test(text))
    throw new InputProblem(`Expected an address (https://…) or an asset on DANDI (dandi://dandi/000402/sub-x/….nwb), received ${text || "nothing"}.`);
  if (/\.zarr\/?($|\?)/.test(text)) throw noZarr(text);
  const name = decodeURIComponent(new URL(text).pathname.split("/").filter(Boolean).at(-1) ?? text);
  return { url: text, name };
}

function noZarr(address: string): InputProblem {
  return new InputProblem(`${address} is an NWB Zarr, which this page does not read; the command does: nwb-cascade infer ${quotedForShell(address)}.`);
}

async function asset(api: string, dandiset: string, version: string | undefined, path: string, address: string): Promise<{ url: string; name: string }> {
  const told = async (where: string) => {
    const response = await fetch(where).catch(() => null);
    if (response?.status === 401 || response?.status === 403)
      throw new InputProblem(
        `Dandiset ${dandiset} is under embargo, and this page takes no API key; the command does: nwb-cascade infer ${quotedForShell(address)}.`,
      );
    if (response?.status === 404) throw new InputProblem(`DANDI has no dandiset ${dandiset}${version ? ` of version ${version}` : ""}.`);
    if (!response?.ok) throw new InputProblem(`DANDI does not answer for ${dandiset}/${path}${response ? ` (HTTP ${response.status})` : ""}.`);
    return response.json();
  };
  const known = version ?? (await told(`${api}/dandisets/${dandiset}/`)).most_recent_published_version?.version ?? "draft";
  const listed = await told(`${api}/dandisets/${dandiset}/versions/${known}/assets/?path=${encodeURIComponent(path)}`);
  const found = listed.results.find((one: { path: string }) => one.path === path);
  if (!found) throw new InputProblem(`Dandiset ${dandiset}, version ${known}, has no asset ${path}.`);
  if (found.zarr) throw noZarr(address);
  return { url: `${api}/assets/${found.asset_id}/download/`, name: path.split("/").at(-1)! };
}
