/** Traces through the network, stretch by stretch and tile by tile: `nwb_cascade.inference`. */

import {
  type Facts,
  type Finding,
  conditions,
  describeFrames,
  gaussianKernel,
  missingFrames,
  noiseChanges,
  noiseLevel,
  prepareTrace,
  screenTrace,
  smooth,
} from "./rules";
import type { FrameClock, Stretch } from "./clock";
import { canonicalIndicator, type IndicatorTold } from "./rules";
import { general } from "./numbers";
import { meanRest, restOf, scaleAt, tell, type Told } from "./rest";

/** Evaluate one row: NaN where a frame is missing, to the networks' values one behind the other (members * n). */
export type Network = (trace: Float32Array, condition: number[], indicator: number) => Promise<Float32Array>;

export interface RoiResult {
  expectedSpikes: Float32Array;
  ensembleStd: Float32Array;
  noiseLevel: number;
  modelNoiseLevel: number;
  restLevel: number;
  validFrames: [number, number];
  warnings: Finding[];
}

export interface Asked {
  clock: FrameClock;
  told: IndicatorTold;
  smoothingS: number;
}

const TILE_FRAMES = 8192;
const BLOCK_BYTES = 24 * 2 ** 20;
const ENOUGH_FRAMES = 300;

/** How many ROIs are judged together, as in Python: noise that changes is mostly one thing. */
export function roisPerBlock(nFrames: number): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / (4 * Math.max(1, nFrames))));
}

/** Infer the ROIs of a block, one after the other. */
export async function* inferBlock(
  block: Float32Array[],
  asked: Asked,
  facts: Facts,
  network: Network,
): AsyncGenerator<RoiResult> {
  const changes: number[][] = block.map(() => []);
  for (const { first, stop, rate } of asked.clock.stretches)
    noiseChanges(block.map((trace) => trace.subarray(first, stop)), rate).forEach((found, row) => changes[row].push(...found.map((at) => first + at)));
  for (const [row, trace] of block.entries()) yield await inferRoi(trace, asked.clock.split(changes[row]), asked, facts, network);
}

interface Part extends RoiResult {
  stretch: Stretch;
}

async function inferRoi(
  trace: Float32Array,
  clock: FrameClock,
  asked: Asked,
  facts: Facts,
  network: Network,
): Promise<RoiResult> {
  const spread = clock.spread(trace);
  const rates = spread.map(({ stretch }) => stretch.rate);
  const levels = stretchNoiseLevels(spread);
  const told = tell(spread.map(({ values }) => values), rates, levels, facts);
  const parts: Part[] = [];
  for (const [i, { stretch, values }] of spread.entries())
    parts.push({ stretch, ...(await inferPart(values, rates[i], levels[i], told, i, asked, facts, network)) });
  const result = clock.isEven ? parts[0] : merged(trace, clock, parts);
  if (Number.isFinite(result.modelNoiseLevel)) {
    const known = {
      indicator: canonicalIndicator(asked.told.name, facts),
      restLevel: result.restLevel,
      activity: told.activity,
    };
    result.warnings.push(...screenTrace(trace, asked.clock.imagingRate, result.noiseLevel, facts, known));
  }
  return result;
}

/** `core.merging.stretch_noise_levels`: stretches too short to tell share what those of their rate tell together. */
function stretchNoiseLevels(spread: { stretch: Stretch; values: Float32Array }[]): number[] {
  const own = spread.map(({ stretch, values }) => noiseLevel(values, stretch.rate));
  return spread.map(({ stretch }, i) => {
    if (stretch.stop - stretch.first >= ENOUGH_FRAMES) return own[i];
    const alike = spread.map((one, number) => ({ stretch: one.stretch, value: own[number] })).filter((one) => one.stretch.rate === stretch.rate);
    return weighted(alike);
  });
}

/** The mean over stretches, each counting by its frames; NaN counts nothing. */
function weighted(each: { stretch: Stretch; value: number }[]): number {
  const known = each.filter(({ value }) => Number.isFinite(value));
  const length = ({ first, stop }: Stretch) => stop - first;
  const frames = known.reduce((sum, { stretch }) => sum + length(stretch), 0);
  return Math.fround(known.reduce((sum, { stretch, value }) => sum + value * length(stretch), 0) / frames);
}

async function inferPart(
  trace: Float32Array,
  rate: number,
  level: number,
  told: Told,
  part: number,
  asked: Asked,
  facts: Facts,
  network: Network,
): Promise<RoiResult> {
  const n = trace.length;
  const fromRest = facts.conditions > 2;
  const restLevel = meanRest(told, part, n);
  const toldLevel = fromRest ? level / scaleAt(told, restLevel) : level;
  const prepared = prepareTrace(trace, 2 * facts.halo + 1);
  if (fromRest) {
    const rest = restOf(told, part, n);
    prepared.trace = prepared.trace.map((value, t) => (value - rest[t]) / scaleAt(told, rest[t]));
  }
  const expectedSpikes = new Float32Array(n).fill(NaN);
  const ensembleStd = new Float32Array(n).fill(NaN);
  if (prepared.infers) {
    const condition = conditions(toldLevel, rate, told.activity, facts);
    const members = await evaluated(prepared.trace, condition, asked, facts, network);
    const kernel = gaussianKernel(asked.smoothingS, rate);
    const smoothed = members.map((values) => smooth(values, kernel));
    for (let t = 0; t < n; t++) {
      let sum = 0;
      for (const values of smoothed) sum += values[t];
      const mean = sum / smoothed.length;
      let squares = 0;
      for (const values of smoothed) squares += (values[t] - mean) ** 2;
      expectedSpikes[t] = Number.isNaN(mean) ? NaN : Math.max(mean, 0);
      ensembleStd[t] = smoothed.length > 1 ? Math.sqrt(squares / (smoothed.length - 1)) : mean * 0;
    }
  }
  return {
    expectedSpikes,
    ensembleStd,
    noiseLevel: level,
    modelNoiseLevel: prepared.infers ? toldLevel : NaN,
    restLevel,
    validFrames: validBounds(expectedSpikes),
    warnings: prepared.notes,
  };
}

/** Values of every member; frames of tiles beside it are context, as far as the networks see. */
async function evaluated(
  trace: Float32Array,
  condition: number[],
  asked: Asked,
  facts: Facts,
  network: Network,
): Promise<Float32Array[]> {
  const members = Array.from({ length: facts.members }, () => new Float32Array(trace.length));
  for (let first = 0; first < trace.length; first += TILE_FRAMES) {
    const stop = Math.min(first + TILE_FRAMES, trace.length);
    const low = Math.max(first - facts.halo, 0);
    const high = Math.min(stop + facts.halo, trace.length);
    const values = await network(trace.slice(low, high), condition, asked.told.code);
    members.forEach((member, m) => {
      const row = m * (high - low);
      member.set(values.subarray(row + first - low, row + stop - low), first);
    });
  }
  for (const member of members) trace.forEach((value, t) => Number.isNaN(value) && (member[t] = NaN));
  return members;
}

/** `core.merging.merged`: stretches, each on its grid, as one trace at the recording's own frames. */
function merged(trace: Float32Array, clock: FrameClock, parts: Part[]): RoiResult {
  const whole = (read: (part: Part) => Float32Array) => clock.gather(parts.map((part) => ({ stretch: part.stretch, values: read(part) })));
  const mean = (read: (part: Part) => number) => weighted(parts.map((part) => ({ stretch: part.stretch, value: read(part) })));
  const expectedSpikes = whole((part) => part.expectedSpikes);
  const missing = trace.reduce((sum, value) => sum + (Number.isNaN(value) ? 1 : 0), 0);
  const given = expectedSpikes.some(Number.isFinite);
  const warnings: Finding[] = missing && given ? [missingFrames(missing)] : [];
  const byCode = new Map<string, [Stretch, Finding][]>();
  for (const { stretch, warnings: own } of parts)
    for (const one of own) if (one.code !== "missing-frames") byCode.set(one.code, [...(byCode.get(one.code) ?? []), [stretch, one]]);
  for (const [[stretch, one], ...others] of byCode.values()) {
    const more = others.length ? ` and ${others.length} more ${others.length === 1 ? "stretch" : "stretches"}` : "";
    const where = parts.length > 1 ? `${describeFrames(stretch.first, stretch.stop)}${more}: ` : "";
    warnings.push({ code: one.code, message: `${where}${one.message}` });
  }
  warnings.push(...noiseWarning(parts));
  return {
    expectedSpikes,
    ensembleStd: whole((part) => part.ensembleStd),
    noiseLevel: mean((part) => part.noiseLevel),
    modelNoiseLevel: mean((part) => part.modelNoiseLevel),
    restLevel: mean((part) => part.restLevel),
    validFrames: validBounds(expectedSpikes),
    warnings,
  };
}

function noiseWarning(parts: Part[]): Finding[] {
  const long = parts.filter(({ stretch }) => stretch.stop - stretch.first >= ENOUGH_FRAMES);
  const known = long.filter((part) => Number.isFinite(part.noiseLevel));
  if (long.length < 2 || !known.length) return [];
  const quiet = known.reduce((a, b) => (b.noiseLevel < a.noiseLevel ? b : a));
  const loud = known.reduce((a, b) => (b.noiseLevel > a.noiseLevel ? b : a));
  if (!(loud.noiseLevel > 2 * quiet.noiseLevel)) return [];
  const said = known
    .filter((part) => part === quiet || part === loud)
    .map(({ stretch, noiseLevel: level }) => `${general(level, 2)} in ${describeFrames(stretch.first, stretch.stop)}`);
  const message = `the noise level changes: ${said.join(", ")}; the networks were told what holds in each stretch`;
  return [{ code: "noise-changes", message }];
}

function validBounds(values: Float32Array): [number, number] {
  let first = 0;
  let stop = values.length;
  while (first < stop && !Number.isFinite(values[first])) first++;
  while (stop > first && !Number.isFinite(values[stop - 1])) stop--;
  return first < stop ? [first, stop] : [0, 0];
}
