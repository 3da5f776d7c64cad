/** What changes slowly in a trace and is no spikes: `nwb_cascade.core.slow_changes`. */

import { finite, general, median, percentile, roundHalfEven } from "./numbers";
import { changePoints, type Finding, noiseLevel } from "./rules";

const WINDOWS = 12;

export function slowFindings(trace: Float32Array, imagingRate: number, level: number, levelPerStd: number): Finding[] {
  const noise = (level * Math.sqrt(imagingRate)) / levelPerStd;
  const nFrames = Math.max(Math.floor(trace.length / WINDOWS), 1);
  const windows = rows(trace, nFrames);
  const longEnough = nFrames >= Math.max(5 * imagingRate, 50);
  const waving = wave(trace, imagingRate, noise);
  const stepped = waving ? null : step(trace, imagingRate, noise, levelPerStd);
  const first = stepped ?? (longEnough ? trend(windows, noise, levelPerStd) : null);
  const growing = longEnough ? growth(windows, imagingRate) : null;
  return [first, waving, growing].filter((one): one is Finding => one !== null);
}

/** Rows that are known for the larger part; what is left over is left out. */
function rows(trace: Float32Array, nFrames: number): Float32Array[] {
  const all = Array.from({ length: Math.floor(trace.length / nFrames) }, (_, i) => trace.subarray(i * nFrames, (i + 1) * nFrames));
  return all.filter((row) => isKnown(row));
}

function isKnown(row: Float32Array): boolean {
  return row.reduce((sum, value) => sum + (Number.isFinite(value) ? 1 : 0), 0) / row.length > 0.5;
}

/** A low percentile, raised by what the noise of the row lowers it by. */
function resting(row: Float32Array, levelPerStd: number): number {
  return percentile(finite(row).sort(), 20) + (0.8416 * noiseLevel(row, 1)) / levelPerStd;
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** Rank correlation with time. */
function steadiness(values: number[]): number {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const ranks = new Array<number>(values.length);
  order.forEach((at, rank) => (ranks[at] = rank));
  const middle = (values.length - 1) / 2;
  let [product, square] = [0, 0];
  ranks.forEach((rank, i) => {
    product += (rank - middle) * (i - middle);
    square += (i - middle) ** 2;
  });
  return product / square;
}

function trend(windows: Float32Array[], noise: number, levelPerStd: number): Finding | null {
  if (windows.length < WINDOWS) return null;
  const rest = windows.map((row) => resting(row, levelPerStd));
  const change = mean(rest.slice(-3)) - mean(rest.slice(0, 3));
  const steady = steadiness(rest);
  if (Math.abs(change) > Math.max(change < 0 ? 0.2 : 0.5, noise) && change * steady > 0 && Math.abs(steady) > 0.9) {
    if (change < 0) {
      const message =
        `the baseline falls steadily by ${general(-change, 2)} dF/F over the recording, as bleaching makes it: correct ` +
        "F0 with a running baseline";
      return { code: "bleaching", message };
    }
    const message = `the baseline rises steadily by ${general(change, 2)} dF/F: correct F0 with a running baseline`;
    return { code: "drifting", message };
  }
  const sorted = Float64Array.from(rest).sort();
  const wandered = percentile(sorted, 90) - percentile(sorted, 10);
  if (!(wandered > Math.max(1.5, 3 * noise))) return null;
  const message = `the baseline moves by ${general(wandered, 2)} dF/F over the recording: use a running baseline for F0`;
  return { code: "drifting", message };
}

function step(trace: Float32Array, imagingRate: number, noise: number, levelPerStd: number): Finding | null {
  const nFrames = Math.max(roundHalfEven(2 * imagingRate), 10);
  const rest: number[] = [];
  const frames: number[] = [];
  for (let first = 0; first + nFrames <= trace.length; first += nFrames) {
    const row = trace.subarray(first, first + nFrames);
    if (!isKnown(row)) continue;
    rest.push(resting(row, levelPerStd));
    frames.push(first);
  }
  if (rest.length < 10) return null;
  const over = (from: number, to: number) => median(Float64Array.from(rest.slice(from, to)));
  for (const change of changePoints(rest, Math.max(0.25, (2 * noise) / Math.sqrt(nFrames)))) {
    if (change < 5 || change > rest.length - 5) continue;
    const whole = over(change, rest.length) - over(0, change);
    const atOnce = over(change, change + 3) - over(change - 3, change);
    if (atOnce / whole <= 0.8) continue;
    const sign = whole >= 0 ? "+" : "";
    return { code: "step", message: `the baseline jumps by ${sign}${general(whole, 2)} dF/F near frame ${frames[change]}, and stays there` };
  }
  return null;
}

function wave(trace: Float32Array, imagingRate: number, noise: number): Finding | null {
  let [means, strength, nFrames]: [number[], number, number] = [[], 0, 1];
  for (const seconds of [0.25, 0.5]) {
    nFrames = Math.max(1, roundHalfEven(seconds * imagingRate));
    const bins = rows(trace, nFrames);
    if (bins.length < 100) return null;
    means = withoutLine(bins.map((bin) => mean(finite(bin))));
    strength = Math.sqrt(mean(means.map((value) => value ** 2)) - mean(means) ** 2) / Math.max(noise / Math.sqrt(nFrames), 1e-9);
    if (strength < 3 || skewness(means) > 0.3) return null;
    const byChance = 3 * Math.sqrt(6 / means.length);
    const slopes = means.slice(1).map((value, i) => value - means[i]);
    if (Math.abs(skewness(slopes)) > Math.max(0.15, byChance)) return null;
  }
  const frequency = (strongest(means) * imagingRate) / (nFrames * means.length);
  const message =
    `slow waves (mostly ${general(frequency, 2)} Hz, ${general(strength, 2)} times the noise) rise as they fall, unlike ` +
    "transients of spikes: rates inferred from them mean nothing";
  return { code: "slow-wave", message };
}

/** Values less the straight line in them. */
export function withoutLine(values: number[]): number[] {
  const time = values.map((_, i) => -1 + (2 * i) / (values.length - 1));
  const middle = mean(values);
  let [product, square] = [0, 0];
  time.forEach((t, i) => {
    product += t * (values[i] - middle);
    square += t * t;
  });
  return values.map((value, i) => value - middle - (product / square) * time[i]);
}

function skewness(values: number[]): number {
  const middle = mean(values);
  const spread = Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
  return spread > 0 ? mean(values.map((value) => (value - middle) ** 3)) / spread ** 3 : 0;
}

/** The frequency of most power, in cycles over all values. */
function strongest(values: number[]): number {
  let [best, most] = [1, -1];
  for (let cycle = 1; cycle <= values.length / 2; cycle++) {
    let [real, imaginary] = [0, 0];
    values.forEach((value, i) => {
      const angle = (2 * Math.PI * ((cycle * i) % values.length)) / values.length;
      real += value * Math.cos(angle);
      imaginary += value * Math.sin(angle);
    });
    const power = real ** 2 + imaginary ** 2;
    if (power > most) [best, most] = [cycle, power];
  }
  return best;
}

function growth(windows: Float32Array[], imagingRate: number): Finding | null {
  const levels = windows.map((row) => noiseLevel(row, imagingRate));
  if (levels.length < WINDOWS || !levels.slice(0, 3).every((level) => level > 0)) return null;
  const ratio = mean(levels.slice(-3)) / mean(levels.slice(0, 3));
  if (!(ratio > 1.4) || steadiness(levels) < 0.9) return null;
  const message =
    `the noise grows steadily to ${general(ratio, 2)} times, as where bleaching was divided out: late frames are noisier ` +
    "than the networks are told";
  return { code: "noise-grows", message };
}
