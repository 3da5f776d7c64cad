/** The files of a plane of suite2p, dropped together: `nwb_cascade.readers.suite2p`. */

import { DEFAULT_METHOD, type DffMethod } from "./dff";
import { type Matrix, readNpy } from "./matrix";
import { arrayIn, numberIn, readPickled } from "./pickled";
import { InputProblem, type Recording, type Series } from "./recording";

/** Files of settings in the order in which they are read: what comes later has the last word. */
const SETTINGS = ["db.npy", "settings.npy", "reg_outputs.npy", "ops.npy"];
export const SUITE2P_FILES = ["F.npy", "Fneu.npy", "iscell.npy", ...SETTINGS];

export async function suite2pRecording(name: string, files: Map<string, File>): Promise<Recording> {
  const traces = readNpy("F.npy", await files.get("F.npy")!.arrayBuffer());
  const neuropil = await neuropilOf(files.get("Fneu.npy"), traces);
  const notes = neuropil ? [] : ["There is no neuropil (Fneu.npy) beside F.npy: none was subtracted."];
  const settings = await settingsOf(files, notes);
  const rate = numberIn(settings, "fs");
  const extraction = settings.get("extraction");
  const nested = extraction instanceof Map ? numberIn(extraction, "neuropil_coefficient") : null;
  const factor = numberIn(settings, "neucoeff") ?? nested ?? DEFAULT_METHOD.neuropil_factor;
  const method: DffMethod = neuropil ? { ...DEFAULT_METHOD, neuropil_factor: factor } : { ...DEFAULT_METHOD, neuropil: "none" };
  const series: Series = {
    path: "F.npy",
    kind: "raw_fluorescence",
    why: "suite2p writes raw fluorescence into F.npy",
    nRois: traces.nRois,
    nFrames: traces.nFrames,
    imagingRate: rate !== null && rate > 0 ? rate : null,
    rateWhy: settings.size ? "its settings state none" : "stated in ops.npy, which is not here or cannot be read",
    startS: 0,
    stamps: null,
    invalid: [],
    unit: "",
    scale: "counts",
    scaleWhy: "",
    scaleStated: false,
    indicator: null,
    species: null,
    roiIds: null,
    raw: { method, neuropil: neuropil ? "Fneu.npy" : null },
    accepted: await acceptedOf(files.get("iscell.npy"), traces.nRois),
    leftOut: badFrames(settings, traces.nFrames),
    notes,
    problem: traces.nRois && traces.nFrames ? "" : `F.npy holds ${traces.nRois} ROIs of ${traces.nFrames} frames`,
  };
  const rows = (matrix: Matrix) => (_: number, first: number, stop: number) =>
    Array.from({ length: stop - first }, (_, i) => rowOf(matrix, first + i));
  return { name, format: "suite2p", series: [series], read: rows(traces), neuropil: rows(neuropil ?? traces), close: () => {} };
}

function rowOf({ nRois, nFrames, values, fortran }: Matrix, roi: number): Float32Array {
  const [start, step] = fortran ? [roi, nRois] : [roi * nFrames, 1];
  return Float32Array.from({ length: nFrames }, (_, t) => values[start + t * step]);
}

/** The neuropil traces; null if there are none, or only the zeros that suite2p writes if it extracted none. */
async function neuropilOf(file: File | undefined, traces: Matrix): Promise<Matrix | null> {
  if (!file) return null;
  const found = readNpy("Fneu.npy", await file.arrayBuffer());
  if (found.nRois !== traces.nRois || found.nFrames !== traces.nFrames)
    throw new InputProblem(
      `Expected Fneu.npy of the shape of F.npy, (${traces.nRois}, ${traces.nFrames}), received (${found.nRois}, ${found.nFrames}).`,
    );
  const some = Array.from({ length: Math.min(8, found.nRois) }, (_, roi) => rowOf(found, roi));
  return some.some((row) => row.some((value) => value !== 0)) ? found : null;
}

/** All settings that can be read; a note for each file that cannot. */
async function settingsOf(files: Map<string, File>, notes: string[]): Promise<Map<unknown, unknown>> {
  const settings = new Map<unknown, unknown>();
  for (const name of SETTINGS) {
    const file = files.get(name);
    if (!file) continue;
    try {
      for (const [key, value] of readPickled(name, await file.arrayBuffer())) settings.set(key, value);
    } catch (error) {
      notes.push((error as Error).message);
    }
  }
  return settings;
}

/** suite2p's or the curator's verdict, a row per ROI, in its first column. */
async function acceptedOf(file: File | undefined, nRois: number): Promise<boolean[] | null> {
  if (!file) return null;
  const found = readNpy("iscell.npy", await file.arrayBuffer(), 1);
  if (found.nRois !== nRois)
    throw new InputProblem(`Expected iscell.npy with one row for each of the ${nRois} ROIs of F.npy, received ${found.nRois}.`);
  const step = found.fortran ? 1 : found.nFrames;
  const accepted = Array.from({ length: nRois }, (_, roi) => Number(found.values[roi * step]) > 0.5);
  if (!accepted.some(Boolean)) throw new InputProblem(`iscell.npy accepts none of ${nRois} ROIs: give F.npy without it to infer from all.`);
  return accepted;
}

function badFrames(settings: Map<unknown, unknown>, nFrames: number): Uint8Array | null {
  const marked = arrayIn(settings, "badframes");
  if (!marked) return null;
  if (marked.length !== nFrames)
    throw new InputProblem(
      `Expected 'badframes' in the settings for the ${nFrames} frames of F.npy, received ${marked.length}: do both come from one run of suite2p?`,
    );
  return Uint8Array.from(marked, (one) => (one ? 1 : 0));
}
