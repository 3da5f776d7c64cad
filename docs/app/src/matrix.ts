/** Bare matrices: `.npy` of numpy and `.mat` of MATLAB 5, as `nwb_cascade.readers.matrix` reads them. */

import { judgeScale } from "./classify";
import { InputProblem, type Recording, sampleWindow, type Series } from "./recording";

export interface Matrix {
  name: string;
  nRois: number;
  nFrames: number;
  /** Row-major values (nRois, nFrames) unless `fortran`. */
  values: ArrayLike<number>;
  fortran: boolean;
}

const KNOWN_VARIABLES = ["dF_traces", "dff", "dFF", "dfF", "dF_F", "df_f", "DFF", "dF", "traces"];
const NOT_RAW = " (a matrix of raw fluorescence is taken only as F.npy, the name that suite2p gives it)";
type Numbers = new (buffer: ArrayBuffer, offset: number, length: number) => ArrayLike<number>;
const NPY_TYPES: Record<string, [Numbers, number]> = {
  "<f4": [Float32Array, 4],
  "<f8": [Float64Array, 8],
  "<i2": [Int16Array, 2],
  "<i4": [Int32Array, 4],
  "<u2": [Uint16Array, 2],
  "<u4": [Uint32Array, 4],
  "|i1": [Int8Array, 1],
  "|u1": [Uint8Array, 1],
  "|b1": [Uint8Array, 1],
};

/** A matrix; with `least` 1 also a vector, as a matrix of one column. */
export function readNpy(name: string, content: ArrayBuffer, least = 2): Matrix {
  const bytes = new Uint8Array(content);
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== "\x93NUMPY") throw new InputProblem(`${name} is no .npy file: it does not begin as one.`);
  const view = new DataView(content);
  if (content.byteLength < 12) throw new InputProblem(`${name} is truncated: it ends within its header.`);
  const long = bytes[6] > 1;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const start = (long ? 12 : 10) + length;
  const header = new TextDecoder().decode(bytes.subarray(long ? 12 : 10, start));
  const type = /'descr': *'([^']+)'/.exec(header)?.[1] ?? "a structure";
  const fortran = /'fortran_order': *True/.test(header);
  const shape = (/'shape': *\(([^)]*)\)/.exec(header)?.[1] ?? "").split(",").filter((one) => one.trim()).map(Number);
  if (shape.length === 1 && least === 1) shape.push(1);
  const known = NPY_TYPES[type];
  if (!known || shape.length !== 2)
    throw new InputProblem(`Expected numbers of shape (n_rois, n_frames) in ${name}, received ${type} of shape (${shape.join(", ")}).`);
  const [kind, size] = known;
  if (content.byteLength < start + size * shape[0] * shape[1])
    throw new InputProblem(`${name} is truncated: it ends before its matrix of ${shape[0]} by ${shape[1]}.`);
  const body = content.slice(start, start + size * shape[0] * shape[1]);
  return { name: "", nRois: shape[0], nFrames: shape[1], values: new kind(body, 0, shape[0] * shape[1]), fortran };
}

const MAT_SIZES: Record<number, [Numbers, number]> = {
  1: [Int8Array, 1],
  2: [Uint8Array, 1],
  3: [Int16Array, 2],
  4: [Uint16Array, 2],
  5: [Int32Array, 4],
  6: [Uint32Array, 4],
  7: [Float32Array, 4],
  9: [Float64Array, 8],
};
const MOST_BYTES = 2 ** 31 - 1;

/** All matrices of numbers in a `.mat` file of MATLAB 5 to 7, whose elements may each be compressed. */
export async function readMat5(name: string, content: ArrayBuffer): Promise<Matrix[]> {
  const view = new DataView(content);
  if (content.byteLength < 128 || view.getUint16(126, true) !== 0x4d49)
    throw new InputProblem(`${name} is no .mat file of MATLAB 5 or later, or one of a big-endian machine.`);
  const found: Matrix[] = [];
  for (let at = 128; at + 8 <= content.byteLength; ) {
    const type = view.getUint32(at, true);
    const size = view.getUint32(at + 4, true);
    const stop = at + 8 + size;
    if (stop > content.byteLength) throw new InputProblem(`${name} is truncated: an element ends behind the file.`);
    let element = content.slice(at, stop);
    if (type === 15) element = await inflated(name, content.slice(at + 8, stop));
    const matrix = new DataView(element).getUint32(0, true) === 14 ? readElement(name, element) : null;
    if (matrix) found.push(matrix);
    at = stop;
  }
  return found;
}

async function inflated(name: string, bytes: ArrayBuffer): Promise<ArrayBuffer> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const parts: BlobPart[] = [];
  let total = 0;
  try {
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      if (total > MOST_BYTES) throw new InputProblem(`${name} holds more than 2 GB: use the command.`);
      parts.push(value);
    }
  } catch (error) {
    if (error instanceof InputProblem) throw error;
    throw new InputProblem(`${name} is damaged: an element cannot be decompressed.`);
  }
  return new Blob(parts).arrayBuffer();
}

function readElement(name: string, element: ArrayBuffer): Matrix | null {
  const view = new DataView(element);
  let at = 8;
  const part = () => {
    let type = view.getUint32(at, true);
    const small = type >>> 16;
    const size = small || view.getUint32(at + 4, true);
    const start = at + (small ? 4 : 8);
    type &= 0xffff;
    at = small ? at + 8 : start + size + ((8 - (size % 8)) % 8);
    if (start + size > element.byteLength) throw new InputProblem(`${name} is damaged: a part ends behind its matrix.`);
    return { type, start, size };
  };
  const flags = view.getUint32(part().start, true);
  const kind = flags & 0xff;
  if (kind < 6 || kind > 13 || flags & 0x0800) return null;
  const shape = part();
  if (shape.size !== 8) return null;
  const [rows, columns] = [view.getInt32(shape.start, true), view.getInt32(shape.start + 4, true)];
  const label = part();
  const variable = new TextDecoder().decode(new Uint8Array(element, label.start, label.size));
  const body = part();
  const stored = MAT_SIZES[body.type];
  if (!stored || body.size !== rows * columns * stored[1]) return null;
  const values = new stored[0](element.slice(body.start, body.start + body.size), 0, rows * columns);
  return { name: variable, nRois: rows, nFrames: columns, values, fortran: true };
}

/** A recording of matrices: the usual name for dF/F comes first, and no file of this kind states its rate. */
export function matrixRecording(name: string, format: "npy" | "mat", matrices: Matrix[]): Recording {
  const usable = matrices.filter((one) => one.nRois * one.nFrames > 1);
  if (!usable.length) throw new InputProblem(`Expected a matrix of numbers (n_rois, n_frames) in ${name}, found none.`);
  const rank = (one: Matrix) => (KNOWN_VARIABLES.includes(one.name) ? KNOWN_VARIABLES.indexOf(one.name) : 99);
  usable.sort((a, b) => rank(a) - rank(b));
  const read = (at: number, first: number, stop: number) =>
    Array.from({ length: stop - first }, (_, i) => {
      const { nRois, nFrames, values, fortran } = usable[at];
      const [start, step] = fortran ? [first + i, nRois] : [(first + i) * nFrames, 1];
      return Float32Array.from({ length: nFrames }, (_, t) => values[start + t * step]);
    });
  const series = usable.map((one, at): Series => {
    const window = sampleWindow(one.nRois, one.nFrames);
    const look = read(at, 0, window.rois).map((trace) => trace.subarray(window.first, window.stop));
    const { scale, why, stated } = judgeScale(look, null, "");
    return {
      path: one.name,
      kind: scale === "counts" ? "raw_fluorescence" : "dff",
      why: "a matrix of numbers",
      nRois: one.nRois,
      nFrames: one.nFrames,
      imagingRate: null,
      rateWhy: "the file states none",
      startS: 0,
      stamps: null,
      invalid: [],
      raw: null,
      accepted: null,
      leftOut: null,
      notes: [],
      unit: "",
      scale,
      scaleWhy: why,
      scaleStated: stated,
      indicator: null,
      species: null,
      roiIds: null,
      problem: scale === "counts" ? `its values look like no dF/F: ${why}${NOT_RAW}` : "",
    };
  });
  return { name, format, series, read, close: () => {} };
}
