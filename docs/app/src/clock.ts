/** When frames were, and traces on the regular grids that networks read: `core.clock` and `core.stretches`. */

import { counted, general, median, roundHalfEven, rounded } from "./numbers";
import { changePoints } from "./rules";

/** Frames [first, stop) of one rate without a pause; a hole is the frame before which some are missing, and how many. */
export interface Stretch {
  first: number;
  stop: number;
  rate: number;
  holes: [number, number][];
}

type Part<T> = { stretch: Stretch; values: T };
type Times = Float64Array;

const TOLERANCE = 0.25;
const FIRST_TIMESTAMPS = 1000;
const LONGEST_HOLE_S = 1;
const LEAST_HOLE_FRAMES = 3;
const CONTEXT_FRAMES = 5;
const [JITTER_FRAMES, MOST_STEP] = [25, 0.5];
const SLOPE_FRAMES = 100;
const SMALL_CHANGE = 0.05;
const RATE_INTERVALS = 20;
const FEWEST_INTERVALS = 5;
const RATE_CHANGE = 0.2;
const FEWEST_PAIRS = 12;
const START_INTERVALS = 40;
const [REFINING_FRAMES, REFINEMENT] = [100, 0.05];
const LATE_FRAMES = 30;
const SAME_RATE = 0.01;
const MOST_NAMED = 3;
const BLOCK = 4096;

export class FrameClock {
  private constructor(
    readonly stretches: Stretch[],
    readonly startS: number,
    readonly timestamps: Times | null,
    readonly missing: Uint8Array | null,
    readonly notes: string[],
  ) {}

  static fromRate(rate: number, nFrames: number, startS = 0, timestamps: Times | null = null, notes: string[] = []): FrameClock {
    return new FrameClock([{ first: 0, stop: nFrames, rate, holes: [] }], startS, timestamps, null, notes);
  }

  /** The clock that times of frames show, s; throws an Error that says why if they make no rate. */
  static fromTimestamps(times: Times): FrameClock {
    const known = Array.from(times.keys()).filter((frame) => Number.isFinite(times[frame]));
    if (known.length < 2) throw new Error(known.length ? "one timestamp makes no rate" : "no timestamp makes no rate");
    const stamps = known.length < times.length ? filled(times, known) : times;
    const stretches = findStretches(stamps);
    return new FrameClock(stretches, stamps[0], stamps, null, notesOf(stretches, stamps, times.length - known.length));
  }

  /** A clock that was sent from the worker to the page. */
  static from(sent: FrameClock): FrameClock {
    return new FrameClock(sent.stretches, sent.startS, sent.timestamps, sent.missing, sent.notes);
  }

  get nFrames(): number {
    return this.stretches[this.stretches.length - 1].stop;
  }

  /** Rate of most frames, Hz. */
  get imagingRate(): number {
    const frames = new Map<number, number>();
    for (const { first, stop, rate } of this.stretches) frames.set(rate, (frames.get(rate) ?? 0) + stop - first);
    return [...frames].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
  }

  /** Rate of every frame, Hz. */
  frameRates(): Float64Array {
    const rates = new Float64Array(this.nFrames);
    for (const { first, stop, rate } of this.stretches) rates.fill(rate, first, stop);
    return rates;
  }

  get isEven(): boolean {
    return this.stretches.length === 1 && !this.stretches[0].holes.length && !this.missing;
  }

  get hasTimes(): boolean {
    return this.timestamps !== null;
  }

  without(missing: Uint8Array, why: string): FrameClock {
    const count = missing.reduce((sum, one) => sum + one, 0);
    if (!count) return this;
    const all = this.missing ? missing.map((one, t) => one | this.missing![t]) : missing;
    const note = `${counted(count, "frame")} of ${this.nFrames} ${count === 1 ? "counts" : "count"} as missing: ${why}.`;
    return new FrameClock(this.stretches, this.startS, this.timestamps, all, [...this.notes, note]);
  }

  split(frames: number[]): FrameClock {
    if (!frames.length) return this;
    return new FrameClock(this.stretches.flatMap((one) => splitStretch(one, frames)), this.startS, this.timestamps, this.missing, this.notes);
  }

  /** Each stretch with its part of a trace on its grid; missing frames are NaN. */
  spread(trace: Float32Array): Part<Float32Array>[] {
    const there = this.missing ? trace.map((value, t) => (this.missing![t] ? NaN : value)) : trace;
    return this.stretches.map((stretch) => {
      const part = there.subarray(stretch.first, stretch.stop);
      if (!stretch.holes.length) return { stretch, values: part };
      const places = positions(stretch);
      const values = new Float32Array(nGrid(stretch)).fill(NaN);
      part.forEach((value, t) => (values[places[t]] = value));
      return { stretch, values };
    });
  }

  /** Values on the grids of all stretches at the recording's own frames. */
  gather(parts: Part<Float32Array>[]): Float32Array {
    const values = new Float32Array(this.nFrames);
    for (const { stretch, values: own } of parts) {
      const places = stretch.holes.length ? positions(stretch) : null;
      for (let t = 0; t < stretch.stop - stretch.first; t++) values[stretch.first + t] = own[places ? places[t] : t];
    }
    return values;
  }

  /** Time of every frame, s. */
  times(): Times {
    if (this.timestamps) return this.timestamps;
    const times = new Float64Array(this.nFrames);
    for (const { first, stop, rate } of this.stretches)
      for (let t = first; t < stop; t++) times[t] = this.startS + t / rate;
    return times;
  }

  /** What decides numbers beside traces, a record per stretch; none for even frames. */
  record(): Record<string, unknown>[] {
    if (this.isEven) return [];
    return this.stretches.map(({ first, stop, rate, holes }) => {
      const missing = this.missing ? runs(this.missing.subarray(first, stop), first) : [];
      return {
        frames: [first, stop],
        imaging_rate_hz: rate,
        ...(holes.length ? { holes } : {}),
        ...(missing.length ? { missing } : {}),
      };
    });
  }
}

export function nGrid({ first, stop, holes }: Stretch): number {
  return stop - first + holes.reduce((sum, [, missing]) => sum + missing, 0);
}

/** Place of each recorded frame of a stretch in its grid. */
export function positions({ first, stop, holes }: Stretch): Int32Array {
  const places = new Int32Array(stop - first);
  let [hole, moved] = [0, 0];
  for (let t = 0; t < places.length; t++) {
    while (hole < holes.length && holes[hole][0] - first <= t) moved += holes[hole++][1];
    places[t] = t + moved;
  }
  return places;
}

function splitStretch(stretch: Stretch, frames: number[]): Stretch[] {
  const inside = [...new Set(frames.filter((frame) => stretch.first < frame && frame < stretch.stop))].sort((a, b) => a - b);
  const edges = [stretch.first, ...inside, stretch.stop];
  return edges.slice(1).map((stop, i) => {
    const holes = stretch.holes.filter(([before]) => edges[i] < before && before < stop);
    return { first: edges[i], stop, rate: stretch.rate, holes };
  });
}

function filled(times: Times, known: number[]): Times {
  let next = 0;
  return times.map((_, frame) => {
    while (next < known.length && known[next] < frame) next++;
    const [before, after] = [known[Math.max(next - 1, 0)], known[Math.min(next, known.length - 1)]];
    if (known[next] === frame || before >= after) return times[known[next] === frame ? frame : after];
    return frame < before ? times[before] : times[before] + ((times[after] - times[before]) * (frame - before)) / (after - before);
  });
}

function differences(times: Times): Times {
  return Float64Array.from({ length: Math.max(times.length - 1, 0) }, (_, i) => times[i + 1] - times[i]);
}

/** Mean rate if every interval is near the usual one, the median of the first thousand; else null. */
export function regularRate(times: Times): number | null {
  if (times.length < 2) return null;
  const intervals = differences(times);
  const usual = median(intervals.slice(0, FIRST_TIMESTAMPS));
  if (!(usual > 0) || !intervals.every((one) => Math.abs(one - usual) <= TOLERANCE * usual)) return null;
  return (times.length - 1) / (times[times.length - 1] - times[0]);
}

export function findStretches(times: Times): Stretch[] {
  const rate = regularRate(times) || jitteringRate(times);
  if (rate !== null) {
    const even: Stretch = { first: 0, stop: times.length, rate, holes: [] };
    const parts = whereTheRateChanges(even, times);
    return parts.length === 1 ? [even] : withRates(parts, times, rate);
  }
  const ascending = differences(times).filter((one) => one > 0);
  if (!ascending.length) throw new Error("the timestamps do not increase");
  const fallback = median(ascending);
  const found: Stretch[] = [];
  for (let first = 0; first < times.length; ) {
    const [stop, holes] = followed(times, first, fallback);
    found.push(...whereTheRateChanges({ first, stop, rate: NaN, holes }, times));
    first = stop;
  }
  return withRates(found, times, 1 / fallback);
}

/** Rate of frames that come early and late by chance, but none of which is missing; else null. */
function jitteringRate(times: Times): number | null {
  const nBlocks = Math.floor(times.length / JITTER_FRAMES);
  const rate = nBlocks > 1 ? ownRate({ first: 0, stop: times.length, rate: NaN, holes: [] }, times) : null;
  if (rate === null) return null;
  const late = times.map((time, t) => (time - times[0]) * rate - t);
  const means = Float64Array.from({ length: nBlocks }, (_, block) => {
    const own = late.subarray(block * JITTER_FRAMES, (block + 1) * JITTER_FRAMES);
    return own.reduce((a, b) => a + b, 0) / JITTER_FRAMES;
  });
  const apart = late.reduce((most, one, t) => Math.max(most, Math.abs(one - means[Math.min(Math.floor(t / JITTER_FRAMES), nBlocks - 1)])), 0);
  let step = 0;
  for (let i = 1; i < nBlocks; i++) step = Math.max(step, Math.abs(means[i] - means[i - 1]), i > 1 ? Math.abs(means[i] - means[i - 2]) : 0);
  return step < MOST_STEP && apart < LEAST_HOLE_FRAMES - 1 ? rate : null;
}

/** A stretch that is being followed. */
class Open {
  holes: [number, number][] = [];

  constructor(readonly first: number, public usual: number) {}

  position(frame: number): number {
    return frame - this.first + this.holes.reduce((sum, [before, missing]) => sum + (before <= frame ? missing : 0), 0);
  }

  get longestHole(): number {
    return Math.max(LEAST_HOLE_FRAMES, roundHalfEven(LONGEST_HOLE_S / this.usual));
  }

  move(frame: number, shift: number): void {
    const last = this.holes[this.holes.length - 1];
    if (shift > 0) this.holes.push([frame + 1, shift]);
    else if (shift < 0 && last && frame - last[0] < LATE_FRAMES) {
      this.holes.pop();
      if (last[1] + shift > 0) this.holes.push([last[0], last[1] + shift]);
    }
  }

  refine(times: Times, frame: number): void {
    const earlier = frame - REFINING_FRAMES;
    if (earlier < this.first) return;
    const usual = (times[frame] - times[earlier]) / (this.position(frame) - this.position(earlier));
    if (Math.abs(usual / this.usual - 1) <= REFINEMENT) this.usual = usual;
  }
}

/** Follow a stretch from its first frame to where it ends: that, and its holes. */
function followed(times: Times, first: number, fallback: number): [number, [number, number][]] {
  const stretch = new Open(first, usualOf(differences(times.subarray(first, first + START_INTERVALS + 1))) || fallback);
  for (const frame of deviating(times, stretch)) {
    stretch.refine(times, frame);
    const shift = shiftOf(times, stretch, frame);
    const ahead = unbroken(differences(times.subarray(frame + 1, frame + 2 + RATE_INTERVALS)), stretch);
    const usual = ahead.length >= FEWEST_INTERVALS ? usualOf(ahead, FEWEST_INTERVALS) : null;
    if (usual !== null && isAnother(usual, ahead, stretch)) {
      const belongs = Math.abs((times[frame + 1] - times[frame]) / usual - 1) <= TOLERANCE;
      const stop = belongs && frame > first ? frame : frame + 1;
      return [stop, stretch.holes.filter(([before]) => before < stop)];
    }
    if (!(-LEAST_HOLE_FRAMES <= shift && shift <= stretch.longestHole)) return [frame + 1, stretch.holes];
    stretch.move(frame, shift);
  }
  return [times.length, stretch.holes];
}

/** Split a stretch where its rate changes by little, which no single interval shows. */
function whereTheRateChanges(stretch: Stretch, times: Times): Stretch[] {
  const own = times.subarray(stretch.first, stretch.stop);
  const places = positions(stretch);
  const logs: number[] = [];
  for (let t = SLOPE_FRAMES; t < own.length; t += SLOPE_FRAMES) {
    const seconds = own[t] - own[t - SLOPE_FRAMES];
    if (!(seconds > 0)) return [stretch];
    logs.push(Math.log((places[t] - places[t - SLOPE_FRAMES]) / seconds));
  }
  const before = [0, ...changePoints(logs, SMALL_CHANGE).map((at) => at * SLOPE_FRAMES), own.length];
  const edges = [...before];
  for (let number = 1; number < before.length - 1; number++) {
    const middle = before[number];
    const [one, other] = [
      line(own, edges[number - 1], middle - SLOPE_FRAMES),
      line(own, middle + SLOPE_FRAMES, before[number + 1]),
    ];
    const crossing = (other.mean - one.mean + one.slope * one.middle - other.slope * other.middle) / (one.slope - other.slope);
    edges[number] = Math.min(Math.max(roundHalfEven(crossing), middle - SLOPE_FRAMES), middle + SLOPE_FRAMES);
  }
  return splitStretch(stretch, edges.map((edge) => stretch.first + edge));
}

/** The line of least squares through the times of frames [low, high). */
function line(times: Times, low: number, high: number): { middle: number; mean: number; slope: number } {
  const middle = (low + high - 1) / 2;
  let mean = 0;
  for (let t = low; t < high; t++) mean += times[t] / (high - low);
  let [products, squares] = [0, 0];
  for (let t = low; t < high; t++) {
    products += (t - middle) * (times[t] - mean);
    squares += (t - middle) ** 2;
  }
  return { middle, mean, slope: products / squares };
}

/** The frames of a stretch, and of those after it, that an unusual interval follows. */
function* deviating(times: Times, stretch: Open): Generator<number> {
  for (let start = stretch.first; start < times.length - 1; start += BLOCK) {
    const usual = stretch.usual;
    for (let t = start; t < Math.min(start + BLOCK, times.length - 1); t++)
      if (Math.abs(times[t + 1] - times[t] - usual) > TOLERANCE * usual) yield t;
  }
}

/** By how many frames the clock has moved on after a frame, beyond one: what most frames around it say. */
function shiftOf(times: Times, stretch: Open, frame: number): number {
  const { usual } = stretch;
  const before: number[] = [];
  for (let t = Math.max(stretch.first, frame + 1 - CONTEXT_FRAMES); t <= frame; t++) before.push(times[t] - stretch.position(t) * usual);
  const [last, phase] = [stretch.position(frame), lowerMedian(before)];
  let moved: number[] = [];
  for (let t = frame + 1; t < Math.min(frame + 1 + CONTEXT_FRAMES, times.length); t++) moved.push((times[t] - phase) / usual - (last + t - frame));
  const [next] = moved;
  if (-LEAST_HOLE_FRAMES <= next && next <= stretch.longestHole) moved = moved.filter((one) => Math.abs(one - next) <= stretch.longestHole);
  return roundHalfEven(lowerMedian(moved));
}

function isAnother(usual: number, ahead: Times, stretch: Open): boolean {
  const change = Math.abs(usual / stretch.usual - 1);
  const mean = ahead.reduce((a, b) => a + b, 0) / ahead.length;
  return change > RATE_CHANGE || (ahead.length >= RATE_INTERVALS && Math.min(change, Math.abs(mean / stretch.usual - 1)) > SMALL_CHANGE);
}

function unbroken(intervals: Times, stretch: Open): Times {
  const pause = intervals.findIndex((one) => one > (stretch.longestHole + 1) * stretch.usual);
  return pause < 0 ? intervals : intervals.subarray(0, pause);
}

/** The usual interval: of many, the median over neighbouring two, since scanners may take turns. */
function usualOf(intervals: Times, fewestPairs = FEWEST_PAIRS): number | null {
  let values = Array.from(intervals);
  if (values.length >= fewestPairs) values = values.slice(1).map((one, i) => (one + values[i]) / 2);
  const usual = values.length ? lowerMedian(values) : 0;
  return usual > 0 ? usual : null;
}

function lowerMedian(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}

/** Give every stretch its rate, and one rate to those that agree within what they can tell. */
function withRates(stretches: Stretch[], times: Times, fallback: number): Stretch[] {
  const length = (one: Stretch) => one.stop - one.first;
  const own = stretches.map((stretch) => ownRate(stretch, times));
  const groups: { rate: number; members: number[] }[] = [];
  for (const number of [...stretches.keys()].sort((a, b) => length(stretches[b]) - length(stretches[a]))) {
    const rate = own[number];
    const tolerance = Math.max(SAME_RATE, TOLERANCE / Math.max(1, length(stretches[number]) - 1));
    const near = groups.find((group) => rate === null || Math.abs(rate / group.rate - 1) <= tolerance);
    if (near) near.members.push(number);
    else groups.push({ rate: rate || fallback, members: [number] });
  }
  const rates = stretches.map(() => fallback);
  for (const { rate, members } of groups) {
    const known = members.filter((number) => own[number] !== null);
    const frames = known.reduce((sum, number) => sum + nGrid(stretches[number]) - 1, 0);
    const seconds = known.reduce((sum, number) => sum + (nGrid(stretches[number]) - 1) / own[number]!, 0);
    for (const number of members) rates[number] = members.length === 1 || !seconds ? rate : frames / seconds;
  }
  return stretches.map((stretch, number) => ({ ...stretch, rate: rates[number] }));
}

/** The median slope over half the stretch: exact under jitter, blind to wrong timestamps. */
function ownRate(stretch: Stretch, times: Times): number | null {
  const half = Math.floor((stretch.stop - stretch.first) / 2);
  if (!half) return null;
  const places = positions(stretch);
  const own = times.subarray(stretch.first, stretch.stop);
  const slopes = Float64Array.from({ length: own.length - half }, (_, t) => (own[t + half] - own[t]) / (places[t + half] - places[t]));
  const seconds = median(slopes);
  return seconds > 0 ? 1 / seconds : null;
}

function runs(flags: Uint8Array, offset: number): [number, number][] {
  const found: [number, number][] = [];
  flags.forEach((flag, t) => {
    const last = found[found.length - 1];
    if (flag && last?.[1] === offset + t) last[1]++;
    else if (flag) found.push([offset + t, offset + t + 1]);
  });
  return found;
}

/** What the times show that is not as it should be, one sentence each. */
function notesOf(stretches: Stretch[], stamps: Times, nUnknown: number): string[] {
  const dropped = stretches.flatMap((one) => one.holes);
  const starts = new Set(stretches.map((one) => one.first));
  const found: string[] = [];
  if (nUnknown) found.push(`${counted(nUnknown, "timestamp")} not finite: taken to lie between the others.`);
  if (stretches.length > 1) found.push(stretchesInWords(stretches, stamps));
  if (dropped.length) {
    const missing = dropped.reduce((sum, [, count]) => sum + count, 0);
    found.push(
      `${counted(missing, "frame")} ${missing === 1 ? "is" : "are"} missing in ${counted(dropped.length, "short hole")}, ` +
        `by the timestamps (the first before frame ${dropped[0][0]}).`,
    );
  }
  const backward = [...differences(stamps).keys()].map((t) => t + 1).filter((t) => stamps[t] - stamps[t - 1] <= 0 && !starts.has(t));
  if (backward.length) {
    const named = backward.slice(0, MOST_NAMED).join(", ") + (backward.length > MOST_NAMED ? ", ..." : "");
    const which = backward.length === 1 ? `timestamp of frame ${named} does` : `timestamps of frames ${named} do`;
    found.push(`The ${which} not come after the one before: frames are taken in their order, at the evident rate.`);
  }
  const jitter = found.length ? null : jitterInWords(stretches[0], stamps);
  if (jitter) found.push(`The timestamps deviate from even frames by ${jitter} (standard deviation).`);
  return found;
}

function stretchesInWords(stretches: Stretch[], stamps: Times): string {
  const lengths = stretches.map((one) => one.stop - one.first);
  const frames = lengths.length === 2 ? lengths.join(" and ") : `${Math.min(...lengths)} to ${Math.max(...lengths)}`;
  const rates = [...new Set(stretches.map((one) => rounded(one.rate, 4)))].join(" and ");
  const pauses = stretches.slice(1).map((after) => stamps[after.first] - stamps[after.first - 1]);
  const [shortest, longest] = [rounded(Math.min(...pauses), 3), rounded(Math.max(...pauses), 3)];
  const back = pauses.filter((pause) => pause < 0).length;
  const apart = shortest === longest ? `, ${shortest} s apart` : `, ${shortest} to ${longest} s apart`;
  const said = back ? `; the clock goes back ${counted(back, "time")}` : apart;
  return `The frames are ${stretches.length} stretches of ${frames} frames at ${rates} Hz${said}, inferred one by one.`;
}

function jitterInWords(stretch: Stretch, stamps: Times): string | null {
  const usual = 1 / stretch.rate;
  const intervals = differences(stamps);
  if (intervals.every((one) => Math.abs(one - usual) <= TOLERANCE * usual)) return null;
  const mean = intervals.reduce((a, b) => a + b, 0) / intervals.length;
  const variance = intervals.reduce((sum, one) => sum + (one - mean) ** 2, 0) / intervals.length;
  return `${rounded((1000 * Math.sqrt(variance)) / Math.SQRT2, 2)} ms`;
}

/** Why timestamps are a rate, and how regular they are: the end of a sentence. */
export function regularity(clock: FrameClock, stamps: Times): string {
  if (clock.stretches.length > 1) return ` in ${clock.stretches.length} stretches`;
  if (regularRate(stamps) === null) return ", which are irregular";
  const intervals = differences(stamps);
  const usual = median(intervals.slice(0, FIRST_TIMESTAMPS));
  const deviation = intervals.reduce((most, one) => Math.max(most, Math.abs(one - usual)), 0) / usual;
  return `, whose intervals deviate by at most ${general(Math.max(0.01, 100 * deviation), 2)} %`;
}
