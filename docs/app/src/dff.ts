/** Raw fluorescence to dF/F as `--from-raw` makes it by default: `nwb_cascade.dff`, neuropil of a fixed factor, running
 *  rest level, ROIs without a baseline left out. */

import type { Stretch } from "./clock";
import { general, median, roundHalfEven } from "./numbers";
import { QUANTILE, raised } from "./rest";
import type { Finding } from "./rules";

/** `DffMethod()`, as far as the page has a choice. */
export interface DffMethod {
  neuropil: "none" | "fixed";
  neuropil_factor: number;
  window_s: number;
}

export const DEFAULT_METHOD: DffMethod = { neuropil: "fixed", neuropil_factor: 0.7, window_s: 180 };
const LEAST_BASELINE = 0.05;
const MEDIAN_TO_STD = 1.4826;

/** dF/F of one ROI and what happened to it: stretches between pauses have baselines of their own. */
export function dffOf(
  fluorescence: Float32Array,
  neuropil: Float32Array | null,
  stretches: Stretch[],
  method: DffMethod,
  leftOut: Uint8Array | null = null,
): { dff: Float32Array; notes: Finding[] } {
  const around = method.neuropil === "none" ? null : neuropil;
  const dff = new Float32Array(fluorescence.length).fill(NaN);
  const out = fluorescence.map((value, t) => (leftOut?.[t] || !Number.isFinite(value) || (around && !Number.isFinite(around[t])) ? 1 : 0));
  if (out.every(Boolean)) return { dff, notes: [{ code: "dff-no-data", message: "it has no finite frame that was not left out." }] };
  const parts = stretches.filter(({ first, stop }) => !out.subarray(first, stop).every(Boolean));
  const bridged = (trace: Float32Array, { first, stop }: Stretch) => bridge(trace.subarray(first, stop), out.subarray(first, stop));
  const own = parts.map((part) => bridged(fluorescence, part));
  const corrected = around ? parts.map((part, i) => subtracted(own[i], bridged(around, part), method.neuropil_factor)) : own;
  const baselines = parts.map((part, i) => runningRest(corrected[i], part.rate, method));
  const least = Math.max(LEAST_BASELINE * median(joined(own)), 0);
  const lowest = baselines.reduce((low, baseline) => baseline.reduce((a, b) => Math.min(a, b), low), Infinity);
  if (!(lowest > least)) {
    const message =
      `its baseline fell to ${general(lowest, 4)}, not above ${general(100 * LEAST_BASELINE)} % of its median fluorescence: ` +
      "dF/F is undefined, set to NaN (another guard may keep it).";
    return { dff, notes: [{ code: "dff-excluded", message }] };
  }
  parts.forEach(({ first, stop }, i) => {
    for (let t = first; t < stop; t++)
      if (!out[t]) dff[t] = (corrected[i][t - first] - baselines[i][t - first]) / baselines[i][t - first];
  });
  return { dff, notes: [] };
}

export function describeDff(method: DffMethod): string {
  const neuropil = method.neuropil === "none" ? "F without neuropil subtraction" : `F - ${general(method.neuropil_factor)} neuropil`;
  return `${neuropil}, running rest level over ${general(method.window_s)} s, guard exclude`;
}

function joined(parts: Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) {
    whole.set(one, at);
    at += one.length;
  }
  return whole;
}

function subtracted(trace: Float32Array, neuropil: Float32Array, factor: number): Float32Array {
  return trace.map((value, t) => value - Math.fround(Math.fround(factor) * neuropil[t]));
}

/** Frames that are left out replaced by straight lines between their neighbours. */
function bridge(trace: Float32Array, out: ArrayLike<number>): Float32Array {
  const bridged = trace.slice();
  let before = -1;
  for (let t = 0; t < trace.length; t++) {
    if (!out[t]) before = t;
    else {
      let after = t;
      while (after < trace.length && out[after]) after++;
      for (let at = t; at < after; at++) {
        if (before < 0) bridged[at] = trace[after];
        else if (after === trace.length) bridged[at] = trace[before];
        else bridged[at] = trace[before] + ((trace[after] - trace[before]) * (at - before)) / (after - before);
      }
      t = after - 1;
    }
  }
  return bridged;
}

/** The 15th percentile of means over one second in a running window, raised by what noise lowers it by. */
function runningRest(trace: Float32Array, rate: number, method: DffMethod): Float32Array {
  const window = Math.max(1, Math.trunc(Math.min(method.window_s * rate, 1e9)));
  const width = Math.max(1, Math.min(roundHalfEven(rate), trace.length));
  const [low, middle] = runningPercentiles(runningMean(trace, width), [100 * QUANTILE, 50], window);
  const noise = noiseStd(trace) / Math.sqrt(width);
  return low.map((value, t) => raised(value, middle[t], noise));
}

function noiseStd(trace: Float32Array): number {
  if (trace.length < 2) return 0;
  const steps = Float32Array.from({ length: trace.length - 1 }, (_, t) => Math.abs(Math.fround(trace[t + 1] - trace[t])));
  return (MEDIAN_TO_STD / Math.SQRT2) * median(steps);
}

/** A place before or after a trace of n frames, mirrored at its ends as often as needed. */
function mirrored(place: number, n: number): number {
  const within = ((place % (2 * n)) + 2 * n) % (2 * n);
  return within < n ? within : 2 * n - 1 - within;
}

function runningMean(trace: Float32Array, width: number): Float32Array {
  const n = trace.length;
  const before = Math.floor(width / 2);
  let sum = 0;
  for (let place = -before; place < width - before; place++) sum += trace[mirrored(place, n)];
  return trace.map((_, t) => {
    if (t) sum += trace[mirrored(t + width - before - 1, n)] - trace[mirrored(t - before - 1, n)];
    return sum / width;
  });
}

/** Percentiles (the value of the lower rank) in a centred window that slides along a trace, mirrored at its ends. */
export function runningPercentiles(trace: Float32Array, percents: number[], nFrames: number): Float32Array[] {
  const n = trace.length;
  const order = Array.from(trace.keys()).sort((a, b) => trace[a] - trace[b]);
  if (nFrames >= n) return percents.map((percent) => new Float32Array(n).fill(trace[order[Math.floor(((n - 1) * percent) / 100)]]));
  const size = nFrames % 2 ? nFrames : nFrames + 1;
  const half = (size - 1) / 2;
  const ranks = new Int32Array(n);
  order.forEach((frame, rank) => (ranks[frame] = rank));
  const counts = new Counts(n);
  for (let place = -half; place <= half; place++) counts.add(ranks[mirrored(place, n)], 1);
  const wanted = percents.map((percent) => (percent === 100 ? size - 1 : Math.trunc((size * percent) / 100)));
  const found = percents.map(() => new Float32Array(n));
  for (let t = 0; t < n; t++) {
    if (t) {
      counts.add(ranks[mirrored(t - half - 1, n)], -1);
      counts.add(ranks[mirrored(t + half, n)], 1);
    }
    wanted.forEach((rank, i) => (found[i][t] = trace[order[counts.find(rank)]]));
  }
  return found;
}

/** How many of each rank there are, as a binary indexed tree: the k-th is found in log n steps. */
class Counts {
  private tree: Int32Array;
  private top: number;

  constructor(n: number) {
    this.tree = new Int32Array(n + 1);
    this.top = 2 ** Math.floor(Math.log2(Math.max(n, 1)));
  }

  add(rank: number, count: number): void {
    for (let at = rank + 1; at < this.tree.length; at += at & -at) this.tree[at] += count;
  }

  find(k: number): number {
    let at = 0;
    for (let step = this.top; step; step >>= 1)
      if (at + step < this.tree.length && this.tree[at + step] <= k) {
        at += step;
        k -= this.tree[at];
      }
    return at;
  }
}
