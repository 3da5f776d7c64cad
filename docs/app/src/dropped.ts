/** What was dropped or chosen: one file, or the files of a plane of suite2p, also as its folder. */

import { SUITE2P_FILES } from "./suite2p";

export interface Dropped {
  name: string;
  files: Map<string, File>;
}

const DEPTH = 3; // folders within the one that is dropped: session, suite2p, plane0

export function together(files: File[]): Dropped {
  const plane = files.some((file) => file.name === "F.npy");
  const kept = plane ? files.filter((file) => SUITE2P_FILES.includes(file.name)) : files;
  return { name: plane ? "F.npy" : (files[0]?.name ?? ""), files: new Map(kept.map((file) => [file.name, file])) };
}

/** The files of a drop; of a folder, those of the one plane of suite2p in it. */
export async function dropped(transfer: DataTransfer): Promise<Dropped> {
  const files = Array.from(transfer.files); // which is empty once this has waited
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.());
  const folder = entries.find((entry) => entry?.isDirectory);
  if (!folder) return together(files);
  const planes = await planesOf(folder as FileSystemDirectoryEntry, DEPTH);
  const names = planes.map((plane) => plane.fullPath.slice(1));
  if (!planes.length)
    throw new Error(
      `Expected F.npy in the folder ${folder.name}, found none. Of folders the page reads planes of suite2p only; ` +
        "nwb-cascade infer reads NWB Zarr, CaImAn and Minian as well.",
    );
  if (planes.length > 1) throw new Error(`Expected one plane of suite2p, found ${names.join(", ")}: drop the folder of one.`);
  const inside = (await listed(planes[0])).filter((entry) => SUITE2P_FILES.includes(entry.name));
  const plane = await Promise.all(inside.map(fileOf));
  return { name: names[0], files: new Map(plane.map((file) => [file.name, file])) };
}

async function planesOf(folder: FileSystemDirectoryEntry, depth: number): Promise<FileSystemDirectoryEntry[]> {
  const inside = await listed(folder);
  if (inside.some((entry) => entry.isFile && entry.name === "F.npy")) return [folder];
  if (!depth) return [];
  const deeper = inside.filter((entry) => entry.isDirectory && entry.name !== "combined"); // which repeats the planes
  return (await Promise.all(deeper.map((entry) => planesOf(entry as FileSystemDirectoryEntry, depth - 1)))).flat();
}

async function listed(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    const more = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!more.length) return found;
    found.push(...more);
  }
}

function fileOf(entry: FileSystemEntry): Promise<File> {
  return new Promise((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
}
