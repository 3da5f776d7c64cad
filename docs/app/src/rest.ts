/** The rest level of a trace and how active it is: `nwb_cascade.core.rest_level`. */

import { roundHalfEven } from "./numbers";
import type { Facts } from "./rules";

export interface Told {
  /** Rest level at the first frame of each stretch, and its change per frame there. */
  first: number[];
  step: number[];
  activity: number;
  /** Fluorescence at rest by which all transients are divided; NaN where they follow the line. */
  scale: number;
}

const MOST_SCALED = 0.35;

export const QUANTILE = 0.15;
const QUANTILE_Z = 1.0364;

/** What networks are told of the stretches of one ROI, whose rates (Hz) and noise levels (% Hz^-1/2) are known: `tell`. */
export function tell(parts: Float32Array[], rates: number[], levels: number[], facts: Facts): Told {
  const half: number[] = [];
  const halfTimes: number[] = [];
  const noise: number[] = [];
  const whole: number[] = [];
  const times: number[] = [];
  const starts: number[] = [];
  let start = 0;
  parts.forEach((trace, part) => {
    starts.push(start);
    const imagingRate = rates[part];
    const width = Math.max(1, Math.min(roundHalfEven(0.5 * imagingRate), trace.length));
    const own = means(trace, width);
    const at = own.map((_, i) => start + ((i + 0.5) * width) / imagingRate);
    const level = Number.isNaN(levels[part]) ? 0 : levels[part];
    const spread = (level * Math.sqrt(imagingRate)) / facts.level_per_std / Math.sqrt(width);
    half.push(...own);
    halfTimes.push(...at);
    noise.push(...own.map(() => spread));
    const pairs = (values: number[]) => (values.length > 1 ? values.slice(1).map((value, i) => (value + values[i]) / 2) : values);
    whole.push(...pairs(own));
    times.push(...pairs(at));
    start += trace.length / imagingRate;
  });
  const variance = noise.reduce((sum, one) => sum + one ** 2, 0) / Math.max(noise.length, 1) / 2;
  const slope = whole.length && start >= 60 ? slopeOf(whole, times) : 0;
  const ordered = whole.map((value, i) => value - slope * times[i]).filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const low = quantile(ordered, QUANTILE);
  const rest = ordered.length ? raised(low, quantile(ordered, 0.5), Math.sqrt(variance)) : 0;
  const activity = activityOf(half.map((value, i) => value - rest - slope * halfTimes[i]), noise);
  const mean = fluorescence(rest + (slope * start) / 2);
  const scale = Math.abs(slope) * start > MOST_SCALED * mean ? mean : NaN;
  return { first: starts.map((at) => rest + slope * at), step: rates.map((rate) => slope / rate), activity, scale };
}

/** Rest level in every frame of a stretch. */
export function restOf(told: Told, part: number, nFrames: number): Float64Array {
  return Float64Array.from({ length: nFrames }, (_, t) => told.first[part] + told.step[part] * t);
}

export function meanRest(told: Told, part: number, nFrames: number): number {
  return told.first[part] + (told.step[part] * (nFrames - 1)) / 2;
}

/** 1 + r: the fluorescence at rest in units of the F0 that was used. */
function fluorescence(rest: number): number {
  return Math.max(1 + rest, 0.2);
}

/** By what transients are divided where the trace rests at a level. */
export function scaleAt(told: Told, rest: number): number {
  return Number.isNaN(told.scale) ? fluorescence(rest) : told.scale;
}

function means(trace: Float32Array, width: number): number[] {
  return Array.from({ length: Math.floor(trace.length / width) }, (_, w) => {
    let [count, total, any] = [0, 0, false];
    for (let t = w * width; t < (w + 1) * width; t++) {
      if (!Number.isFinite(trace[t])) continue;
      count++;
      total += trace[t];
      any ||= trace[t] !== 0;
    }
    return 2 * count >= width && count > 0 && any ? total / count : NaN;
  });
}

/** A low percentile without what noise of a standard deviation lowers it by. */
export function raised(low: number, middle: number, noise: number): number {
  const spread = (middle - low) / QUANTILE_Z;
  const signal = Math.sqrt(Math.max(spread ** 2 - noise ** 2, 0));
  return low + QUANTILE_Z * Math.max(Math.min(spread, Math.hypot(signal, noise)) - signal, 0);
}

/** Linear quantile regression, by reweighting. */
function slopeOf(values: number[], times: number[]): number {
  const there = values.map((value, i) => ({ value, time: times[i] })).filter(({ value }) => !Number.isNaN(value));
  if (!there.length) return 0;
  const ordered = there.map(({ value }) => value).sort((a, b) => a - b);
  const low = quantile(ordered, QUANTILE);
  const least = 1e-3 * (quantile(ordered, 0.85) - low) + 1e-12;
  const span = Math.max(...there.map(({ time }) => time), 1e-9);
  let [start, slope] = [low, 0];
  for (let step = 0; step < 20; step++) {
    let [total, once, twice, sumY, sumXy] = [0, 0, 0, 0, 0];
    for (const { value, time } of there) {
      const x = time / span - 0.5;
      const residual = value - start - slope * x;
      const weight = (residual > 0 ? QUANTILE : 1 - QUANTILE) / Math.max(Math.abs(residual), least);
      total += weight;
      once += weight * x;
      twice += weight * x * x;
      sumY += weight * value;
      sumXy += weight * x * value;
    }
    const determinant = total * twice - once ** 2;
    slope = determinant > 1e-9 * total * twice ? (total * sumXy - once * sumY) / determinant : 0;
    start = total > 0 ? (sumY - slope * once) / total : 0;
  }
  return slope / span;
}

function quantile(ordered: number[], share: number): number {
  if (!ordered.length) return NaN;
  const place = share * (ordered.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (place - below) * (ordered[above] - ordered[below]);
}

function activityOf(aboveRest: number[], noise: number[]): number {
  let [sum, count] = [0, 0];
  aboveRest.forEach((value, i) => {
    const excess = Math.min(Math.max(value / noise[i] - 2, 0), 1e3) ** 2;
    if (!Number.isFinite(excess)) return;
    sum += excess;
    count++;
  });
  return (Math.log(Math.min(sum / Math.max(count, 1), 1e4) + 0.01) + 1) / 3;
}
