/** NWB files by h5wasm: every series of ROI traces, judged as `nwb_cascade.inspect` does, and its blocks of rows. */

import * as h5wasm from "h5wasm";
import { classify, type Judgement, judgeScale, reconcile } from "./classify";
import type { Matrix } from "./matrix";
import { counted, general, median } from "./numbers";
import { InputProblem, type Recording, sampleWindow, type Series } from "./recording";

const SERIES_TYPES = ["RoiResponseSeries", "OphysEventDetection", "InferredSpikeRateSeries"];
const NOT_DFF: Record<string, string> = {
  raw_fluorescence: "it is raw fluorescence, from which the command computes dF/F: --from-raw",
  neuropil: "it is neuropil fluorescence",
  baseline: "it is a baseline",
  z_scored: "it holds z-scores",
  events: "it holds events or deconvolved activity",
  inferred: "it holds inferred spike rates",
};

interface Found {
  group: h5wasm.Group;
  data: h5wasm.Dataset | null;
  transposed: boolean;
  conversion: number;
  offset: number;
}

/** Describe an open NWB file. */
export function nwbRecording(name: string, file: h5wasm.File): Recording {
  if (!file.keys().length || attribute(file, "nwb_version") === null)
    throw new InputProblem(`${name} is an HDF5 file, but no NWB file: it states no nwb_version.`);
  const species = text(file, "/general/subject/species");
  const masked = file.get_type("/intervals/invalid_times") !== null && file.get("/intervals/invalid_times") !== null;
  const groups = seriesGroups(file, file, []);
  const found: Found[] = [];
  const series = groups.map(({ group, ancestors }) => {
    const [one, described] = describe(file, group, ancestors, species);
    found.push(one);
    if (masked && !described.problem) described.problem = "the file has invalid_times, which the page does not leave out; the command does";
    return described;
  });
  if (!series.length) throw new InputProblem(`Expected a series of ROI traces in ${name}, found none.`);
  const read = (at: number, first: number, stop: number) => rows(found[at], [first, stop], [0, series[at].nFrames]);
  series.forEach((one, at) => judgeByWords(one, groups[at]));
  // A look at each of many remote series costs a request each: the others are looked at if none is dF/F.
  const look = (kinds: (kind: string) => boolean) =>
    series.forEach((one, at) => kinds(one.kind) && !one.problem && judgeByValues(one, groups[at], found[at]));
  look((kind) => kind === "dff");
  if (!series.some((one) => one.kind === "dff")) look((kind) => kind !== "dff");
  for (const one of series) one.problem ||= NOT_DFF[one.kind] ?? (one.scale === "counts" ? `its values look like no dF/F: ${one.scaleWhy}` : "");
  return { name, format: "nwb", series, read, close: () => void file.close(), file };
}

interface Placed {
  group: h5wasm.Group;
  ancestors: { name: string; type: string }[];
  siblings: string[];
}

/** Groups of ROI series, wherever they lie; what only links lead to stands once, at its own place. */
function seriesGroups(file: h5wasm.File, group: h5wasm.Group, ancestors: { name: string; type: string }[]): Placed[] {
  const found: Placed[] = [];
  const own: string[] = [];
  for (const name of group.keys()) {
    const path = `${group.path === "/" ? "" : group.path}/${name}`;
    if (file.get_link(path)) continue;
    const item = file.get(path);
    if (!(item instanceof h5wasm.Group)) continue;
    const type = attribute(item, "neurodata_type") ?? "";
    if (SERIES_TYPES.includes(type)) {
      own.push(name);
      found.push({ group: item, ancestors, siblings: own });
    } else if (!type.endsWith("Series") && type !== "DynamicTable" && type !== "PlaneSegmentation") {
      const inner = path.split("/").length > 2 ? [{ name, type }, ...ancestors] : ancestors;
      found.push(...seriesGroups(file, item, inner));
    }
  }
  return found;
}

function describe(
  file: h5wasm.File,
  group: h5wasm.Group,
  _ancestors: { name: string; type: string }[],
  species: string | null,
): [Found, Series] {
  const problems: string[] = [];
  const item = file.get(`${group.path}/data`);
  const data = item instanceof h5wasm.Dataset ? item : null;
  if (!data) problems.push(`its data are ${lost(item)}`);
  const shape = data?.shape ?? [0, 0];
  const region = file.get(`${group.path}/rois`);
  const nRegion = region instanceof h5wasm.Dataset ? (region.shape?.[0] ?? 0) : null;
  const stamps = file.get(`${group.path}/timestamps`);
  const nStamps = stamps instanceof h5wasm.Dataset ? (stamps.shape?.[0] ?? 0) : null;
  const table = region instanceof h5wasm.Dataset ? tableOf(region) : null;
  const layout = axes(shape, nRegion, nStamps, table ? rowsOf(file, table) : null);
  if (layout.problem) problems.push(layout.problem);
  const timing = clock(file, group, stamps, layout.nFrames);
  if (timing.problem) problems.push(timing.problem);
  const plane = table ? `${table}/imaging_plane` : null;
  if (data && ![0, 1].includes(data.metadata.type)) problems.push("its data are no numbers");
  const one: Found = {
    group,
    data,
    transposed: layout.transposed,
    conversion: data ? number(attributeOf(data, "conversion"), 1) : 1,
    offset: data ? number(attributeOf(data, "offset"), 0) : 0,
  };
  const series: Series = {
    path: group.path,
    kind: "unknown",
    why: "",
    nRois: layout.nRois,
    nFrames: layout.nFrames,
    imagingRate: timing.rate,
    rateWhy: timing.why,
    startS: timing.startS,
    stamps: timing.stamps,
    unit: (data && attribute(data, "unit")) ?? "",
    scale: "unknown",
    scaleWhy: "",
    scaleStated: false,
    indicator: plane ? text(file, `${plane}/indicator`) : null,
    species,
    roiIds: region instanceof h5wasm.Dataset && table ? ids(file, region, table) : null,
    problem: problems[0] ?? "",
  };
  return [one, series];
}

function judgeByWords(series: Series, placed: Placed): void {
  const { kind, why } = words(series, placed);
  Object.assign(series, { kind, why });
}

/** Kind and scale by a look at a window of values: in the middle, or where that holds nothing, at the start or the end. */
function judgeByValues(series: Series, placed: Placed, found: Found): void {
  const { rois, first, stop } = sampleWindow(series.nRois, series.nFrames);
  const size = stop - first;
  let look: Float32Array[] = [];
  for (const start of new Set([first, 0, series.nFrames - size])) {
    look = rows(found, [0, rois], [start, start + size]);
    if (look.some((trace) => new Set(trace.filter(Number.isFinite)).size > 1)) break;
  }
  const scale = judgeScale(look, series.imagingRate, series.unit);
  const { kind, why } = reconcile(words(series, placed), scale);
  Object.assign(series, { kind, why, scale: scale.scale, scaleWhy: scale.why, scaleStated: scale.stated });
}

function words(series: Series, placed: Placed): Judgement {
  return classify({
    type: attribute(placed.group, "neurodata_type") ?? "",
    name: series.path.split("/").at(-1)!,
    description: attribute(placed.group, "description") ?? "",
    unit: series.unit,
    ancestors: placed.ancestors,
    siblings: placed.siblings,
  });
}

/** ROIs and frames [first, stop) as rows. */
function rows(one: Found, rois: [number, number], frames: [number, number]): Float32Array[] {
  if (!one.data) throw new InputProblem("The data of this series are not there.");
  const single = one.data.shape?.length === 1;
  const ranges: [number, number][] = single ? [frames] : one.transposed ? [rois, frames] : [frames, rois];
  const stored = one.data.slice(ranges) as unknown as ArrayLike<number>;
  const width = rois[1] - rois[0];
  const nFrames = frames[1] - frames[0];
  const plain = one.conversion === 1 && one.offset === 0;
  const value = (raw: number) => (plain ? Number(raw) : Number(raw) * one.conversion + one.offset);
  return Array.from({ length: width }, (_, i) =>
    Float32Array.from({ length: nFrames }, (_, t) => value(stored[one.transposed ? i * nFrames + t : t * width + i])),
  );
}

/** Which axis is time: `nwb_cascade.nwb.layout.layout`. */
function axes(shape: number[], nRegion: number | null, nStamps: number | null, nTable: number | null) {
  const made = (nRois: number, nFrames: number, transposed: boolean, problem = "") => ({ nRois, nFrames, transposed, problem });
  if (shape.length === 1) {
    if (nRegion !== null && nRegion > 1 && nRegion === shape[0])
      return made(shape[0], 1, false, `it holds one value for each of ${counted(shape[0], "ROI")}, not a trace`);
    return made(1, shape[0], false);
  }
  if (shape.length !== 2) return made(0, 0, false, `the data have shape (${shape.join(", ")}); expected (time, ROIs)`);
  const [first, second] = shape;
  const agrees = (axis: number, other: number, length: number | null) => length !== null && axis === length && axis !== other;
  const standard = agrees(first, second, nStamps) || agrees(second, first, nRegion);
  const swapped = agrees(second, first, nStamps) || agrees(first, second, nRegion);
  if (standard && swapped) return made(second, first, false, "the lengths of its data, times and ROIs contradict each other");
  if (swapped) return made(first, second, true);
  if (standard || nRegion === second || agrees(second, first, nTable)) return made(second, first, false);
  if (agrees(first, second, nTable)) return made(first, second, true);
  return made(second, first, false, "no length tells its ROI axis from its time axis");
}

/** Rate and start; frames that are not even are left to the command. */
function clock(file: h5wasm.File, group: h5wasm.Group, stamps: unknown, nFrames: number) {
  const none = (why: string) => ({ rate: null, why, startS: 0, problem: "", stamps: null });
  if (stamps instanceof h5wasm.Dataset) {
    const times = Float64Array.from(stamps.value as unknown as ArrayLike<number>, Number).subarray(0, nFrames);
    if (times.length < nFrames) return none(`there are ${counted(times.length, "timestamp")} for ${counted(nFrames, "frame")}`);
    if (times.length < 2) return none("one timestamp makes no rate");
    const intervals = times.subarray(1).map((time, i) => time - times[i]);
    const usual = median(intervals.slice(0, 1000));
    const even = usual > 0 && intervals.every((interval) => Math.abs(interval - usual) <= 0.25 * usual);
    const rate = (times.length - 1) / (times[times.length - 1] - times[0]);
    if (!even)
      return { ...none("from timestamps, which are not even"), problem: "its frames are not even in time, which the page does not handle; the command does" };
    if (rate < 0.1 || rate > 1000) return none(`its timestamps look like no seconds: ${general(rate, 3)} Hz is no imaging rate`);
    return { rate, why: "from timestamps", startS: times[0], problem: "", stamps: times };
  }
  const start = file.get(`${group.path}/starting_time`);
  if (!(start instanceof h5wasm.Dataset)) return none("it has neither a rate nor timestamps");
  const rate = number(attributeOf(start, "rate"), NaN);
  if (!(rate >= 0.1)) return none(`the stated rate is ${general(rate)} Hz`);
  return { rate, why: "stated rate", startS: Number(start.value ?? 0), problem: "", stamps: null };
}

/** What a link leads to that is not there. */
function lost(item: unknown): string {
  if (item instanceof h5wasm.ExternalLink) return `a link to ${item.filename}:${item.obj_path}, which the page cannot follow`;
  if (item instanceof h5wasm.BrokenSoftLink) return `a link to ${item.target}, which is not there`;
  return "not there";
}

function tableOf(region: h5wasm.Dataset): string | null {
  try {
    const stated = region.attrs["table"]?.value;
    const reference = Array.isArray(stated) ? stated[0] : stated;
    const table = reference instanceof h5wasm.Reference ? region.dereference(reference) : null;
    return table instanceof h5wasm.Group ? table.path : null;
  } catch {
    return null;
  }
}

function rowsOf(file: h5wasm.File, table: string): number | null {
  const column = file.get(`${table}/id`);
  return column instanceof h5wasm.Dataset ? (column.shape?.[0] ?? null) : null;
}

function ids(file: h5wasm.File, region: h5wasm.Dataset, table: string): number[] | null {
  const column = file.get(`${table}/id`);
  if (!(column instanceof h5wasm.Dataset)) return null;
  const all = Array.from(column.value as unknown as ArrayLike<number>, Number);
  return Array.from(region.value as unknown as ArrayLike<number>, (row) => all[Number(row)]);
}

function attributeOf(item: h5wasm.Group | h5wasm.Dataset, name: string): unknown {
  return item.attrs[name]?.value ?? null;
}

function attribute(item: h5wasm.Group | h5wasm.Dataset, name: string): string | null {
  const value = attributeOf(item, name);
  return typeof value === "string" ? value : null;
}

function number(value: unknown, otherwise: number): number {
  const one = value === null ? NaN : Number(Array.isArray(value) || ArrayBuffer.isView(value) ? (value as any)[0] : value);
  return Number.isNaN(one) ? otherwise : one;
}

function text(file: h5wasm.File, path: string): string | null {
  const item = file.get(path);
  const value = item instanceof h5wasm.Dataset ? item.value : null;
  return typeof value === "string" ? value : null;
}

/** Matrices of a `.mat` file of MATLAB 7.3, which is HDF5 and stores them transposed. */
export function mat73Matrices(file: h5wasm.File): Matrix[] {
  const found: Matrix[] = [];
  for (const name of file.keys()) {
    const item = file.get(name);
    if (!(item instanceof h5wasm.Dataset) || item.shape?.length !== 2 || ![0, 1].includes(item.metadata.type)) continue;
    const [nFrames, nRois] = item.shape;
    found.push({ name, nRois, nFrames, values: item.value as unknown as ArrayLike<number>, fortran: true });
  }
  return found;
}
