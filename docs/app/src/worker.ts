/** The worker: opens recordings, runs the network, and answers the page. Nothing leaves the computer. */

import * as h5wasm from "h5wasm";
import type { Assets } from "./assets";
import type { FrameClock } from "./clock";
import { dffOf } from "./dff";
import { inferBlock, type Network, roisPerBlock, type RoiResult } from "./engine";
import { matrixRecording, readMat5, readNpy } from "./matrix";
import { loadNetwork, placeRuntime } from "./network";
import { mat73Matrices, nwbRecording } from "./nwb";
import { Population, type RoiFinding } from "./population";
import { clip, general } from "./numbers";
import { clockAt, InputProblem, type Recording, type Series } from "./recording";
import { RangeFile, resolved } from "./remote";
import { type Facts, type Finding, toldIndicator } from "./rules";
import { suite2pRecording } from "./suite2p";
import { type Run, sidecar, type Specifications } from "./sidecar";

export interface Ask {
  series: number;
  imagingRate: number;
  indicator: string;
  species: string;
  scale: "fraction" | "percent";
  /** Only ROIs that were accepted as cells, where the recording says which. */
  accepted: boolean;
  smoothingS: number;
}

export type Request = { kind: "open"; name: string; files: Map<string, File> } | { kind: "address"; address: string } | { kind: "assets"; assets: Assets } | { kind: "infer"; ask: Ask } | { kind: "sidecar" };
export type Answer =
  | { kind: "opened"; name: string; format: string; series: Series[] }
  | { kind: "roi"; roi: number; dff: Float32Array; result: RoiResult }
  | { kind: "done"; seconds: number; told: string; notes: string[]; warnings: RoiFinding[] }
  | { kind: "sidecar"; bytes: Uint8Array }
  | { kind: "problem"; message: string };

const MOST_VALUES = 2 ** 27; // frames times ROIs that the page holds three times over, 1.5 GB
let recording: Recording | null = null;
let assets: Assets | null = null;
let facts: Facts | null = null;
let network: Promise<Network> | null = null;
let mounted = 0;
let last: Run | null = null; // the last run, for the NWB file

/** A JSON file of the page. */
function told<T>(name: "facts.json" | "specifications.json"): T {
  return JSON.parse(new TextDecoder().decode(assets![name]));
}

function ownNetwork({ "runtime.mjs": program, "runtime.wasm": runtime, "model.onnx": model }: Assets): Promise<Network> {
  placeRuntime(URL.createObjectURL(new Blob([program], { type: "text/javascript" })), runtime);
  return loadNetwork(new Uint8Array(model));
}

async function open(name: string, files: Map<string, File>): Promise<Recording> {
  recording?.close();
  recording = null;
  if (files.has("F.npy")) return suite2pRecording(name, files);
  if (files.size > 1) throw new InputProblem(`Expected one recording, or F.npy with the files beside it, received ${[...files.keys()].join(", ")}.`);
  const [file] = files.values();
  const start = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  if (!file.size) throw new InputProblem(`${file.name} is empty.`);
  const isHdf5 = start[0] === 0x89 && start[1] === 0x48 && start[2] === 0x44 && start[3] === 0x46;
  const extension = file.name.toLowerCase().split(".").at(-1);
  if (extension === "npy") return matrixRecording(file.name, "npy", [readNpy(file.name, await file.arrayBuffer())]);
  if (extension === "mat" && !isHdf5) return matrixRecording(file.name, "mat", await readMat5(file.name, await file.arrayBuffer()));
  const user = new Uint8Array(await file.slice(512, 516).arrayBuffer());
  if (!isHdf5 && !(user[0] === 0x89 && user[1] === 0x48))
    throw new InputProblem(`Expected an NWB file (HDF5), a .npy or a .mat file, received ${file.name}, which is none of them.`);
  const hdf5File = await hdf5(file);
  return extension === "mat" ? matrixRecording(file.name, "mat", mat73Matrices(hdf5File)) : nwbRecording(file.name, hdf5File);
}

/** Open a remote NWB file by ranges. */
async function openRemote(address: string): Promise<Recording> {
  recording?.close();
  recording = null;
  const { url, name } = await resolved(address);
  const remote = RangeFile.open(url);
  const { FS } = await h5wasm.ready;
  const path = `/remote${mounted++}`;
  (FS as any).writeFile(path, new Uint8Array(0));
  const node = (FS as any).lookupPath(path).node;
  Object.defineProperty(node, "usedBytes", { get: () => remote.size });
  node.stream_ops = {
    ...node.stream_ops,
    read: (_: unknown, buffer: Int8Array, offset: number, length: number, position: number) => remote.read(buffer, offset, length, position),
  };
  return { ...nwbRecording(name, opened(path, url)), name: address.trim() };
}

function opened(path: string, name: string): h5wasm.File {
  try {
    const file = new h5wasm.File(path, "r");
    file.keys(); // which fails where the file could not be opened
    return file;
  } catch (error) {
    if (error instanceof InputProblem) throw error;
    throw new InputProblem(`${name} cannot be opened: it is no HDF5 file, truncated or damaged.`);
  }
}

/** Open a local file by slices: h5wasm reads what it needs of it. */
async function hdf5(file: File): Promise<h5wasm.File> {
  const { FS } = await h5wasm.ready;
  const folder = `/work${mounted++}`;
  (FS as any).mkdir(folder);
  (FS as any).mount((FS as any).filesystems.WORKERFS, { blobs: [{ name: "recording", data: file }] }, folder);
  return opened(`${folder}/recording`, file.name);
}

function isAsked(ask: Ask, series: Series, roi: number): boolean {
  return !ask.accepted || !series.accepted || series.accepted[roi];
}

/** The result of a ROI that is not asked for: `core.merging.nothing_inferred`. */
function notAsked(nFrames: number): RoiResult {
  const values = new Float32Array(nFrames).fill(NaN);
  const warnings = [{ code: "not-asked", message: "not asked for (iscell is 0), nothing inferred" }];
  return { expectedSpikes: values, ensembleStd: values, noiseLevel: NaN, modelNoiseLevel: NaN, restLevel: NaN, validFrames: [0, 0], warnings };
}

/** dF/F of ROIs [first, stop), read or made of raw fluorescence, and what is unusual about each. */
function dffBlock(ask: Ask, series: Series, clock: FrameClock, first: number, stop: number): { dff: Float32Array[]; notes: Finding[][] } {
  const block = recording!.read(ask.series, first, stop);
  if (series.raw) {
    const around = series.raw.neuropil === null ? null : recording!.neuropil!(ask.series, first, stop);
    const none = { dff: new Float32Array(series.nFrames).fill(NaN), notes: [] };
    const leftOut = series.leftOut ?? clock.missing;
    const made = block.map((trace, i) =>
      isAsked(ask, series, first + i) ? dffOf(trace, around ? around[i] : null, clock.stretches, series.raw!.method, leftOut) : none,
    );
    return { dff: made.map(({ dff }) => dff), notes: made.map(({ notes }) => notes) };
  }
  const dff = ask.scale === "percent" ? block.map((trace) => trace.map((value) => value * 0.01)) : block;
  return { dff, notes: block.map(() => []) };
}

async function infer(ask: Ask): Promise<void> {
  if (!recording) throw new InputProblem("Choose a recording first.");
  const series = recording.series[ask.series];
  if (!(ask.imagingRate > 0)) throw new InputProblem("Expected an imaging rate in Hz: the recording states none.");
  if (series.nRois * series.nFrames > MOST_VALUES)
    throw new InputProblem(
      `The page holds results in memory, up to ${MOST_VALUES} values; ${series.nRois} ROIs of ${series.nFrames} frames are more. Use the command below.`,
    );
  network ??= ownNetwork(assets!);
  const [known, run] = [facts!, await network];
  const clock = clockAt(series, ask.imagingRate);
  const [low, high] = known.rates;
  for (const { rate } of clock.stretches) {
    const off = Math.abs(rate - clip(rate, known.rates)) / rate;
    if (off > 0.05) throw new InputProblem(`${known.name} serves rates from ${low} to ${high} Hz, the recording has ${general(rate, 4)} Hz.`);
  }
  const told = toldIndicator(ask.indicator || null, ask.species || null, known);
  const asked = { clock, told, smoothingS: ask.smoothingS };
  const began = performance.now();
  last = null;
  const results: RoiResult[] = [];
  const rows = roisPerBlock(series.nFrames);
  const population = new Population(series.nFrames, ask.imagingRate);
  for (let first = 0; first < series.nRois; first += rows) {
    const stop = Math.min(first + rows, series.nRois);
    const { dff, notes } = dffBlock(ask, series, clock, first, stop);
    const inferred = inferBlock(dff.filter((_, i) => isAsked(ask, series, first + i)), asked, known, run);
    for (const [i, trace] of dff.entries()) {
      const roi = first + i;
      const result = isAsked(ask, series, roi) ? (await inferred.next()).value! : notAsked(series.nFrames);
      if (Number.isFinite(result.modelNoiseLevel)) population.add(roi, trace);
      result.warnings.push(...notes[i]);
      results.push(result);
      answer({ kind: "roi", roi, dff: trace, result });
    }
  }
  const warnings = population.warnings();
  for (const { roi, code, message } of warnings) results[roi].warnings.push({ code, message });
  last = { name: recording.name, series, clock, ask, told: told.sentence, indicator: told.name, results };
  const { notes } = clock;
  answer({ kind: "done", seconds: (performance.now() - began) / 1000, told: told.sentence, notes, warnings });
}

function answer(message: Answer): void {
  self.postMessage(message);
}

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    if (data.kind === "sidecar") {
      if (!last || !recording?.file) throw new InputProblem("Infer an NWB file first.");
      const specifications: Specifications = told("specifications.json");
      answer({ kind: "sidecar", bytes: await sidecar(recording.file as h5wasm.File, last, facts!, specifications) });
    } else if (data.kind === "assets") {
      assets = data.assets;
      facts = told("facts.json");
    } else if (data.kind !== "infer") {
      recording = data.kind === "open" ? await open(data.name, data.files) : await openRemote(data.address);
      answer({ kind: "opened", name: recording.name, format: recording.format, series: recording.series });
    } else {
      await infer(data.ask);
    }
  } catch (error) {
    const message = error instanceof InputProblem ? error.message : `The file could not be read or inferred: ${error}`;
    answer({ kind: "problem", message });
  }
};
