/** Addresses on DANDI, with answers as the real API gives them. */

import { afterEach, expect, test, vi } from "vitest";
import { resolved } from "../src/remote";

const API = "https://api.dandiarchive.org/api";
const PATH = "sub-1/sub-1_ophys.nwb";
const PUBLISHED = { version: "0.210819.1547", name: "a", asset_count: 2, size: 1, status: "Valid" };
const ASSET = { asset_id: "11111111-2222-4333-8444-555555555555", blob: "b", zarr: null, path: PATH, size: 1, created: "", modified: "" };

function api(dandiset: object, assets: object[]): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(url);
    if (!url.includes("/versions/")) return Response.json(dandiset);
    const path = new URL(url).searchParams.get("path")!;
    const results = assets.filter((one) => (one as typeof ASSET).path.startsWith(path));
    return Response.json({ count: results.length, next: null, previous: null, results });
  });
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

test.each([
  [`dandi://dandi/000402/${PATH}`, "0.210819.1547"],
  [`000402/${PATH}`, "0.210819.1547"],
  [`DANDI:000402/draft/${PATH}`, "draft"],
  [`dandi://dandi/000402@0.210101.1200/${PATH}`, "0.210101.1200"],
  [`https://dandiarchive.org/dandiset/000402/draft/files?location=${encodeURIComponent(PATH)}&page=1`, "draft"],
  [`${API}/dandisets/000402/versions/draft/assets/?path=${encodeURIComponent(PATH)}`, "draft"],
])("%s", async (address, version) => {
  const longer = { ...ASSET, asset_id: "another", path: `${PATH}.bak` };
  const asked = api({ identifier: "000402", most_recent_published_version: PUBLISHED, draft_version: {} }, [longer, ASSET]);
  expect(await resolved(address)).toEqual({ url: `${API}/assets/${ASSET.asset_id}/download/`, name: "sub-1_ophys.nwb" });
  expect(asked.at(-1)).toBe(`${API}/dandisets/000402/versions/${version}/assets/?path=${encodeURIComponent(PATH)}`);
});

test("the draft of a dandiset that was never published", async () => {
  const asked = api({ identifier: "000402", most_recent_published_version: null }, [ASSET]);
  await resolved(`000402/${PATH}`);
  expect(asked.at(-1)).toContain("/versions/draft/");
});

test("what is not there, is a Zarr or under embargo gets one sentence", async () => {
  api({ most_recent_published_version: PUBLISHED }, [{ ...ASSET, path: "sub-1/a.nwb.zarr", blob: null, zarr: "z" }]);
  await expect(resolved(`000402/${PATH}`)).rejects.toThrow(`Dandiset 000402, version 0.210819.1547, has no asset ${PATH}.`);
  await expect(resolved("000402/sub-1/a.nwb.zarr")).rejects.toThrow("nwb-cascade infer '000402/sub-1/a.nwb.zarr'");
  await expect(resolved("https://example.org/a.nwb.zarr")).rejects.toThrow("is an NWB Zarr, which this page does not read");
  vi.stubGlobal("fetch", async () => new Response("", { status: 401 }));
  await expect(resolved(`000402/${PATH}`)).rejects.toThrow("under embargo, and this page takes no API key");
  vi.stubGlobal("fetch", async () => new Response("", { status: 404 }));
  await expect(resolved(`000402/${PATH}`)).rejects.toThrow("DANDI has no dandiset 000402.");
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  await expect(resolved(`000402/${PATH}`)).rejects.toThrow(`DANDI does not answer for 000402/${PATH}.`);
});
