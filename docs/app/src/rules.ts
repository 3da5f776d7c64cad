/** The rules of the Python package that stand around the network: noise, smoothing, preparation, screening.
 *  Each restates a function of `nwb_cascade.core`; `tests/vectors.json`, which Python writes, keeps them alike. */

import type { CountFacts } from "./counts";
import { clip, counted, finite, general, median, percentile, roundHalfEven } from "./numbers";
import { slowFindings } from "./slow";

export interface Finding {
  code: string;
  message: string;
}

export interface IndicatorTold {
  code: number;
  name: string | null;
  sentence: string;
}

export interface Facts {
  software_version: string;
  name: string;
  weights_sha256: string;
  config: {
    version: string;
    architecture: string;
    kernel: string;
    licence: string;
    citation: string;
    noise_levels: number[];
    training_datasets: string[];
    indicators: string[];
    ensemble_size: number;
  };
  family: string;
  configuration: string;
  /** Numbers that the network is told; with three it reads dF/F from its rest level. */
  conditions: number;
  halo: number;
  stride: number;
  members: number;
  noise_range: [number, number];
  rates: [number, number];
  smoothing_s: number;
  noise_centre: number;
  rate_centre: number;
  level_per_std: number;
  /** `asdict(DffMethod())`. */
  dff_method: Record<string, unknown>;
  indicators: { name: string; spellings: string[]; largest_dff: number | null; told: Record<string, IndicatorTold> }[];
  unknown: IndicatorTold;
  counts: CountFacts;
}

/** Noise level of one trace, % Hz^-1/2: `core.noise.noise_level`. */
export function noiseLevel(trace: Float32Array, imagingRate: number): number {
  const differences = new Float32Array(Math.max(trace.length - 1, 0));
  let n = 0;
  for (let t = 1; t < trace.length; t++) {
    const difference = Math.abs(Math.fround(trace[t] - trace[t - 1]));
    if (!Number.isNaN(difference)) differences[n++] = difference;
  }
  return (100 * median(differences.subarray(0, n))) / Math.sqrt(imagingRate);
}

/** `core.kernels.gaussian_kernel`. */
export function gaussianKernel(smoothingS: number, imagingRate: number): Float64Array {
  const sigma = smoothingS * imagingRate;
  if (sigma < 1e-3) return Float64Array.of(1);
  const half = Math.ceil(5 * sigma);
  const weights = Float64Array.from({ length: 2 * half + 1 }, (_, i) => Math.exp(-0.5 * ((i - half) / sigma) ** 2));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Convolve with a symmetric kernel, the trace reflected at its ends; frames that are NaN lend no weight:
 *  `core.kernels.smooth`. */
export function smooth(values: ArrayLike<number>, kernel: Float64Array): Float32Array {
  const n = values.length;
  const half = (kernel.length - 1) / 2;
  const result = new Float32Array(n);
  if (!half) return Float32Array.from(values as ArrayLike<number>);
  const period = 2 * n;
  const padded = new Float64Array(n + 2 * half);
  const absent = new Float64Array(n + 2 * half);
  let anyAbsent = false;
  for (let i = 0; i < padded.length; i++) {
    const place = (((i - half) % period) + period) % period;
    const value = values[place < n ? place : period - 1 - place];
    if (Number.isNaN(value)) {
      absent[i] = 1;
      anyAbsent = true;
    } else padded[i] = value;
  }
  for (let t = 0; t < n; t++) {
    if (absent[t + half]) {
      result[t] = NaN;
      continue;
    }
    let total = 0;
    for (let k = 0; k < kernel.length; k++) total += kernel[k] * padded[t + k];
    if (anyAbsent) {
      let lost = 0;
      for (let k = 0; k < kernel.length; k++) lost += kernel[k] * absent[t + k];
      total /= 1 - lost;
    }
    result[t] = total;
  }
  return result;
}

export interface Prepared {
  trace: Float32Array; // NaN where absent, as the exported network takes it
  infers: boolean;
  notes: Finding[];
}

/** `core.preparation.prepare_trace`, for networks that are told what is missing. */
export function prepareTrace(trace: Float32Array, windowSize: number): Prepared {
  let low = Infinity;
  let high = -Infinity;
  let n = 0;
  let last = -1;
  for (let t = 0; t < trace.length; t++) {
    const value = trace[t];
    if (value !== 0) last = t;
    if (!Number.isFinite(value)) continue;
    n++;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const nothing = (code: string, message: string): Prepared => ({
    trace: new Float32Array(trace.length).fill(NaN),
    infers: false,
    notes: [{ code, message }],
  });
  if (!n) return nothing("all-missing", "no finite frame, nothing inferred");
  if (low === high) return nothing("constant", `constant trace (every frame is ${general(low)}), nothing inferred`);
  const kept = trace.map((value) => (Number.isFinite(value) ? value : NaN));
  const notes: Finding[] = [];
  let padding = trace.length - 1 - last;
  if (padding < windowSize) padding = 0;
  if (padding) {
    kept.fill(NaN, trace.length - padding);
    notes.push({ code: "padded-tail", message: `last ${padding} frames are exactly zero, taken as padding` });
  }
  const missing = trace.length - kept.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : 1), 0) - padding;
  if (missing) notes.push(missingFrames(missing), ...scattered(kept));
  return { trace: kept, infers: true, notes };
}

export function missingFrames(count: number): Finding {
  const are = count === 1 ? "1 frame is NaN and gets" : `${count} frames are NaN and get`;
  return { code: "missing-frames", message: `${are} no value` };
}

function scattered(trace: Float32Array): Finding[] {
  const steps: number[] = [];
  let before = -1;
  trace.forEach((value, t) => {
    if (Number.isNaN(value)) return;
    if (before >= 0) steps.push(t - before);
    before = t;
  });
  const share = steps.filter((step) => step > 1).length / steps.length;
  if (steps.length < 20 || share <= 0.05) return [];
  const [least, most] = [steps.reduce((a, b) => Math.min(a, b)), steps.reduce((a, b) => Math.max(a, b))];
  const message =
    least === most
      ? `only one frame in ${least} has a value: the noise level is unknown and rates are too low or too high; ` +
        `store these frames alone, at the imaging rate divided by ${least}`
      : `values come in pieces of ${general(1 / share, 2)} frames on average: rates are uncertain by a third, ` +
        "and sums leave out what happened in missing frames";
  return [{ code: "scattered-values", message }];
}

const LEAST_WINDOWS = 3;

/** `core.change_points.change_points`. */
export function changePoints(values: number[], leastChange: number): number[] {
  const n = values.length;
  if (n < 2 * LEAST_WINDOWS) return [];
  const total = values.reduce((a, b) => a + b, 0);
  let split = -1;
  let best = -Infinity;
  let sum = 0;
  for (let at = 1; at <= n - LEAST_WINDOWS; at++) {
    sum += values[at - 1];
    if (at < LEAST_WINDOWS) continue;
    const difference = (total - sum) / (n - at) - sum / at;
    const score = difference ** 2 * at * (n - at);
    if (score > best) [best, split] = [score, at];
  }
  const sides = [values.slice(0, split), values.slice(split)];
  const medians = sides.map((side) => median(Float64Array.from(side)));
  const spread = Math.max(
    ...sides.map((side, i) => median(Float64Array.from(side, (value) => Math.abs(value - medians[i]))) * 1.4826),
  );
  if (Math.abs(medians[1] - medians[0]) < Math.max(leastChange, 3 * spread)) return [];
  return [
    ...changePoints(sides[0], leastChange),
    split,
    ...changePoints(sides[1], leastChange).map((later) => split + later),
  ];
}

/** `core.noise_changes.noise_changes` of the traces of a block. */
export function noiseChanges(traces: Float32Array[], imagingRate: number): number[][] {
  const window = Math.max(300, roundHalfEven(10 * imagingRate));
  const found = traces.map((trace) => {
    const nWindows = Math.floor(trace.length / window);
    if (nWindows < 2 * LEAST_WINDOWS) return [];
    const levels = Array.from({ length: nWindows }, (_, w) =>
      noiseLevel(trace.subarray(w * window, (w + 1) * window), imagingRate),
    );
    if (levels.some(Number.isNaN)) return [];
    const logs = levels.map((level) => Math.log(Math.max(level, 1e-9)));
    return changePoints(logs, Math.log(2)).slice(0, 4).map((change) => change * window);
  });
  return agreed(found, 2 * window);
}

function agreed(found: number[][], near: number): number[][] {
  const votes = new Map<number, number>();
  for (const frame of found.flat()) votes.set(frame, (votes.get(frame) ?? 0) + 1);
  const places: number[] = [];
  for (const [frame] of [...votes].sort((a, b) => b[1] - a[1]))
    if (!places.some((place) => Math.abs(frame - place) <= near)) places.push(frame);
  const nearest = (frame: number) =>
    places.reduce((best, place) => (Math.abs(place - frame) < Math.abs(best - frame) ? place : best));
  return found.map((changes) => [...new Set(changes.map(nearest))].sort((a, b) => a - b));
}

/** `core.screening.screen_trace`. */
export function screenTrace(
  trace: Float32Array,
  imagingRate: number,
  level: number,
  facts: Facts,
  known: { indicator: string | null; restLevel: number; activity: number },
): Finding[] {
  const values = finite(trace);
  const sorted = values.slice().sort();
  if (values.length < 100 || sorted[0] === sorted[sorted.length - 1]) return [];
  const scale = scaleFinding(sorted, level);
  const found = [
    noiseFinding(level, facts.noise_range[1], facts),
    denoisedFinding(trace),
    scale,
    clippedFinding(sorted),
    activityFinding(known.activity),
  ];
  if (!scale) {
    found.push(...slowFindings(trace, imagingRate, level, facts.level_per_std));
    found.push(amplitudeFinding(values, imagingRate, known.indicator, facts), restFinding(known.restLevel));
  }
  return found.filter((one): one is Finding => one !== null);
}

function noiseFinding(level: number, high: number, facts: Facts): Finding | null {
  const low = facts.noise_range[0];
  if (!Number.isFinite(level) || (low <= level && level <= high)) return null;
  const message = `noise level ${general(level, 3)} % Hz^-1/2 is outside the trained range ${general(low)} to ${general(high)}`;
  return { code: "noise-outside-training", message };
}

function denoisedFinding(trace: Float32Array): Finding | null {
  const first: number[] = [];
  const second: number[] = [];
  for (let t = 1; t < trace.length; t++) {
    const difference = trace[t] - trace[t - 1];
    if (Number.isFinite(difference)) first.push(Math.abs(difference));
    if (t < 2) continue;
    const change = difference - (trace[t - 1] - trace[t - 2]);
    if (Number.isFinite(change)) second.push(Math.abs(change));
  }
  if (first.length < 100 || second.length < 100) return null;
  const same = first.filter((difference) => difference === 0).length / first.length;
  if (same > 0.3)
    return {
      code: "denoised",
      message: `${(100 * same).toFixed(0)} % of frames equal the one before: the trace is denoised, clipped or filled`,
    };
  const ratio = median(Float64Array.from(second)) / median(Float64Array.from(first));
  if (ratio > 1.15) return null;
  const message =
    `neighbouring frames are more alike than measured noise allows (roughness ${ratio.toFixed(2)}, white noise 1.73): ` +
    "the trace looks smoothed, denoised or upsampled, so its noise level misleads the model";
  return { code: "denoised", message };
}

function scaleFinding(sorted: Float64Array, level: number): Finding | null {
  const peak = percentile(sorted, 99.9);
  const baseline = percentile(sorted, 20);
  if (baseline > 0.7 && baseline > 0.5 * peak)
    return {
      code: "not-dff",
      message: `the baseline is ${general(baseline, 3)}, not near 0: the trace looks like raw fluorescence or F/F0`,
    };
  if (peak - baseline > 40 || level > 60)
    return {
      code: "percent-scaled",
      message: `dF/F reaches ${general(peak, 3)}: the trace looks scaled in percent, so divide it by 100`,
    };
  return null;
}

function clippedFinding(sorted: Float64Array): Finding | null {
  const last = sorted.length - 1;
  for (const [value, which] of [[sorted[last], "largest"], [sorted[0], "smallest"]] as const) {
    const count = sorted.reduce((sum, one) => sum + (one === value ? 1 : 0), 0);
    if (count > Math.max(3, 0.001 * sorted.length)) {
      const message = `${count} frames have exactly the ${which} value (${general(value, 3)}): the trace is clipped there`;
      return { code: "clipped", message };
    }
  }
  return null;
}

function restFinding(restLevel: number): Finding | null {
  if (-0.3 <= restLevel && restLevel <= 0.7) return null;
  const message =
    `dF/F rests at ${general(restLevel, 2)}, not near 0, and transients are scaled as if F0 were wrong by a factor of ` +
    `${general(1 + restLevel, 2)}: check the baseline; if a constant was added, subtract it`;
  return { code: "rest-level", message };
}

function activityFinding(activity: number): Finding | null {
  if (!(activity < -0.8)) return null;
  const message = "nothing in the trace differs from noise: its rate says that no spike was seen, not that none was";
  return { code: "no-events", message };
}

function amplitudeFinding(
  values: Float64Array,
  imagingRate: number,
  indicator: string | null,
  facts: Facts,
): Finding | null {
  const largest = facts.indicators.find((one) => one.name === indicator)?.largest_dff;
  if (largest == null) return null;
  const width = Math.max(roundHalfEven(0.1 * imagingRate), 1);
  const averaged = Float64Array.from({ length: Math.floor(values.length / width) }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += values[i * width + k];
    return sum / width;
  }).sort();
  const peak = percentile(averaged, 99.9) - median(averaged);
  if (peak <= largest) return null;
  const message =
    `transients reach ${general(peak, 3)} dF/F, above ${general(largest, 3)}, the most that ${indicator} showed in the ` +
    "ground truth: check F0, the neuropil correction and the indicator";
  return { code: "implausible-amplitude", message };
}

/** `ground_truth_nwb.indicators.canonical_indicator`. */
export function canonicalIndicator(text: string | null, facts: Facts): string | null {
  const squeezed = (one: string) => one.toLowerCase().replace(/[^a-z0-9]/g, "");
  const stated = squeezed(text ?? "");
  let best: [number, string] | null = null;
  for (const one of facts.indicators)
    for (const spelling of one.spellings.map(squeezed))
      if (stated.includes(spelling) && (!best || spelling.length > best[0] || (spelling.length === best[0] && one.name > best[1])))
        best = [spelling.length, one.name];
  return best ? best[1] : null;
}

/** What the network is told of an indicator in a species: `core.indicators.match_indicator`, as Python wrote it down. */
export function toldIndicator(text: string | null, species: string | null, facts: Facts): IndicatorTold {
  const name = canonicalIndicator(text, facts);
  if (name === null) {
    const stated = text ? `'${text}' is no indicator known here` : "the recording states no indicator";
    return { ...facts.unknown, sentence: `${stated}; the model treats it as unknown.` };
  }
  const { told } = facts.indicators.find((entry) => entry.name === name)!;
  if (text!.toLowerCase().includes("interneuron")) return told.interneuron;
  const isZebrafish = ["danio rerio", "zebrafish"].includes((species ?? "").trim().toLowerCase());
  return told[isZebrafish ? "Danio rerio" : ""];
}

/** What the network is told of noise, rate and, if it is, activity: `architectures.conditional.conditions`. */
export function conditions(level: number, imagingRate: number, activity: number, facts: Facts): number[] {
  const noise = clip(Number.isNaN(level) ? facts.noise_range[0] : level, facts.noise_range);
  const told = [Math.log(noise / facts.noise_centre), Math.log(clip(imagingRate, facts.rates) / facts.rate_centre)];
  return facts.conditions > 2 ? [...told, activity] : told;
}

export function describeFrames(first: number, stop: number): string {
  return `frames ${first} to ${stop - 1}`;
}

export { counted };
