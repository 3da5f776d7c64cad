/** NWB files by h5wasm: every series of ROI traces, judged as `nwb_cascade.inspect` does, and its blocks of rows. */

import * as h5wasm from "h5wasm";
import { classify, type Judgement, judgeScale, reconcile } from "./classify";
import { FrameClock, regularity } from "./clock";
import { DEFAULT_METHOD } from "./dff";
import type { Matrix } from "./matrix";
import { counted, general } from "./numbers";
import { InputProblem, type Recording, sampleWindow, type Series } from "./recording";

const SERIES_TYPES = ["RoiResponseSeries", "OphysEventDetection", "InferredSpikeRateSeries"];
const CORRECTED = /correct|subtract|decontaminat|demix/i;
const NOT_DFF: Record<string, string> = {
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
  const invalid = invalidTimes(file);
  const groups = seriesGroups(file, file, []);
  const found: Found[] = [];
  const series = groups.map(({ group, ancestors }) => {
    const [one, described] = describe(file, group, ancestors, species);
    found.push(one);
    if (invalid) described.invalid = invalid;
    else described.problem ||= "its invalid_times name series, which the page does not tell apart; the command does";
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
  const around = new Map<number, number>();
  for (const [at, one] of series.entries()) {
    one.problem ||= NOT_DFF[one.kind] ?? "";
    if (one.problem || !(one.kind === "raw_fluorescence" || one.scale === "counts")) continue;
    const neuropil = matchingNeuropil(file, series, at, attribute(groups[at].group, "description") ?? "", one);
    if (neuropil !== null) around.set(at, neuropil);
  }
  const neuropil = (at: number, first: number, stop: number) => rows(found[around.get(at)!], [first, stop], [0, series[at].nFrames]);
  return { name, format: "nwb", series, read, neuropil, close: () => void file.close(), file };
}

/** How dF/F is made of a raw series, told in it, and which neuropil traces are subtracted: `nwb.raw`. */
function matchingNeuropil(file: h5wasm.File, series: Series[], at: number, description: string, raw: Series): number | null {
  const without = (note: string) => {
    raw.raw = { method: { ...DEFAULT_METHOD, neuropil: "none" }, neuropil: null };
    raw.notes.push(note);
    return null;
  };
  if (CORRECTED.test(`${raw.path} ${description}`))
    return without(`${raw.path} is corrected already, by its name or description: no neuropil was subtracted.`);
  const rois = (one: Series) => {
    const region = file.get(`${one.path}/rois`);
    return region instanceof h5wasm.Dataset ? `${tableOf(region)} ${Array.from(region.value as any, Number)}` : "";
  };
  const alike = (one: Series) => one.nRois === raw.nRois && one.nFrames === raw.nFrames && rois(one) === rois(raw);
  const places = [...series.keys()].filter((other) => other !== at && series[other].kind === "neuropil" && alike(series[other]));
  const narrowed = (found: number[], test: (one: Series) => boolean) => (found.some((other) => test(series[other])) ? found.filter((other) => test(series[other])) : found);
  const twin = raw.path.replace(/fluorescence/gi, "neuropil").toLowerCase();
  const name = (one: Series) => one.path.split("/").at(-1);
  const found = narrowed(narrowed(places, (one) => one.path.toLowerCase() === twin), (one) => name(one) === name(raw));
  if (!found.length) return without(`The file holds no neuropil traces of the ROIs of ${raw.path}: none was subtracted.`);
  raw.raw = { method: DEFAULT_METHOD, neuropil: series[found[0]].path };
  if (found.length > 1)
    raw.problem = `several neuropil series could belong to it (${found.map((other) => series[other].path).join(", ")}): the command takes one by --neuropil-series`;
  return found[0];
}

/** The intervals of the file that are not to be used, s; null if they are of certain series only. */
function invalidTimes(file: h5wasm.File): [number, number][] | null {
  const column = (name: string) => file.get(`/intervals/invalid_times/${name}`);
  const [starts, stops] = [column("start_time"), column("stop_time")];
  if (!(starts instanceof h5wasm.Dataset) || !(stops instanceof h5wasm.Dataset)) return [];
  if (column("timeseries")) return null;
  const ends = Array.from(stops.value as unknown as ArrayLike<number>, Number);
  return Array.from(starts.value as unknown as ArrayLike<number>, (start, i) => [Number(start), ends[i]]);
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
  const plane = table ? `${table}/imaging_plane` : null;
  const timing = timingOf(file, group, stamps, layout.nFrames, plane ? scalar(file, `${plane}/imaging_rate`) : null);
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
    invalid: [],
    raw: null,
    accepted: null,
    leftOut: null,
    notes: timing.notes,
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

interface Timing {
  rate: number | null;
  why: string;
  startS: number;
  stamps: Float64Array | null;
  notes: string[];
}

const LEAST_RATE = 0.1;
const UNITS: Record<string, number> = { milliseconds: 1e3, microseconds: 1e6, nanoseconds: 1e9 };

/** When the frames of a series were, by its rate or its timestamps: `nwb.timing.timing_of`. */
function timingOf(file: h5wasm.File, group: h5wasm.Group, stamps: unknown, nFrames: number, planeRate: number | null): Timing {
  if (stamps instanceof h5wasm.Dataset) {
    const all = Float64Array.from(stamps.value as unknown as ArrayLike<number>, Number);
    const times = all.slice(0, nFrames);
    const none = (why: string): Timing => ({ rate: null, why, startS: 0, stamps: times, notes: [] });
    if (times.length < nFrames) return none(`there are ${counted(times.length, "timestamp")} for ${counted(nFrames, "frame")}`);
    let clock: FrameClock;
    try {
      clock = FrameClock.fromTimestamps(times);
    } catch (error) {
      return none((error as Error).message);
    }
    const looks = unitOf(clock.imagingRate, planeRate);
    if (clock.imagingRate < LEAST_RATE || looks)
      return none(`its timestamps look like ${looks ?? "no seconds"}: ${general(clock.imagingRate, 3)} Hz is no imaging rate`);
    const surplus = `There are ${all.length} timestamps for ${nFrames} frames: the first ${nFrames} are taken.`;
    const notes = all.length > nFrames ? [surplus] : [];
    return { rate: clock.imagingRate, why: `from timestamps${regularity(clock, times)}`, startS: times[0], stamps: times, notes };
  }
  const none = (why: string): Timing => ({ rate: null, why, startS: 0, stamps: null, notes: [] });
  const start = file.get(`${group.path}/starting_time`);
  if (!(start instanceof h5wasm.Dataset)) return none("it has neither a rate nor timestamps");
  const rate = number(attributeOf(start, "rate"), NaN);
  const startS = Number(start.value ?? 0);
  if (!(rate > 0)) return { ...none(`the stated rate is ${general(rate)} Hz`), startS };
  if (rate < LEAST_RATE)
    return { ...none(`its stated rate looks like the interval between frames in seconds: ${general(rate, 3)} Hz is no imaging rate`), startS };
  return { rate, why: "stated rate", startS, stamps: null, notes: [] };
}

/** The unit that times have whose rate would be this one if they were seconds; null if they may be. */
function unitOf(rate: number, planeRate: number | null): string | null {
  for (const [unit, perSecond] of Object.entries(UNITS)) {
    if (planeRate && Math.abs(rate * perSecond - planeRate) <= 0.2 * planeRate) return unit;
    if (rate < LEAST_RATE && 1 <= rate * perSecond && rate * perSecond < 1000) return unit;
  }
  return null;
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

function scalar(file: h5wasm.File, path: string): number | null {
  const item = file.get(path);
  const value = item instanceof h5wasm.Dataset ? number(item.value, NaN) : NaN;
  return value > 0 ? value : null;
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
