/** Traces through the network, tile by tile: `nwb_cascade.inference` for recordings with even frames. */

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
import { canonicalIndicator, type IndicatorTold } from "./rules";
import { general } from "./numbers";
import { fluorescence, meanRest, restOf, tell, type Told } from "./rest";

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
  imagingRate: number;
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
  const changes = noiseChanges(block, asked.imagingRate);
  for (const [row, trace] of block.entries()) yield await inferRoi(trace, changes[row], asked, facts, network);
}

interface Part extends RoiResult {
  first: number;
  stop: number;
}

async function inferRoi(
  trace: Float32Array,
  changes: number[],
  asked: Asked,
  facts: Facts,
  network: Network,
): Promise<RoiResult> {
  const bounds = [0, ...changes, trace.length];
  const stretches = bounds.slice(1).map((stop, i) => trace.subarray(bounds[i], stop));
  const levels = stretches.map((stretch) => noiseLevel(stretch, asked.imagingRate));
  const told = tell(stretches, asked.imagingRate, levels, facts);
  const parts: Part[] = [];
  for (const [i, stretch] of stretches.entries()) {
    const result = await inferPart(stretch, levels[i], told, i, asked, facts, network);
    parts.push({ first: bounds[i], stop: bounds[i + 1], ...result });
  }
  const result = parts.length > 1 ? joined(trace, parts) : parts[0];
  if (Number.isFinite(result.modelNoiseLevel)) {
    const known = {
      indicator: canonicalIndicator(asked.told.name, facts),
      restLevel: result.restLevel,
      activity: told.activity,
    };
    result.warnings.push(...screenTrace(trace, asked.imagingRate, result.noiseLevel, facts, known));
  }
  return result;
}

async function inferPart(
  trace: Float32Array,
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
  const toldLevel = fromRest ? level / fluorescence(restLevel) : level;
  const prepared = prepareTrace(trace, 2 * facts.halo + 1);
  if (fromRest) {
    const rest = restOf(told, part, n);
    prepared.trace = prepared.trace.map((value, t) => (value - rest[t]) / fluorescence(rest[t]));
  }
  const expectedSpikes = new Float32Array(n).fill(NaN);
  const ensembleStd = new Float32Array(n).fill(NaN);
  if (prepared.infers) {
    const condition = conditions(toldLevel, asked.imagingRate, told.activity, facts);
    const members = await evaluated(prepared.trace, condition, asked, facts, network);
    const kernel = gaussianKernel(asked.smoothingS, asked.imagingRate);
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

/** `core.merging.merged`: parts between which the noise changes, as one trace. */
function joined(trace: Float32Array, parts: Part[]): RoiResult {
  const whole = (read: (part: Part) => Float32Array) => {
    const values = new Float32Array(trace.length);
    for (const part of parts) values.set(read(part), part.first);
    return values;
  };
  const weighted = (read: (part: Part) => number) => {
    const known = parts.filter((part) => Number.isFinite(read(part)));
    const frames = known.reduce((sum, part) => sum + part.stop - part.first, 0);
    return known.reduce((sum, part) => sum + read(part) * (part.stop - part.first), 0) / frames;
  };
  const expectedSpikes = whole((part) => part.expectedSpikes);
  const missing = trace.reduce((sum, value) => sum + (Number.isNaN(value) ? 1 : 0), 0);
  const given = expectedSpikes.some(Number.isFinite);
  const warnings: Finding[] = missing && given ? [missingFrames(missing)] : [];
  const byCode = new Map<string, [Part, Finding][]>();
  for (const part of parts)
    for (const one of part.warnings)
      if (one.code !== "missing-frames") byCode.set(one.code, [...(byCode.get(one.code) ?? []), [part, one]]);
  for (const [[part, one], ...others] of byCode.values()) {
    const more = others.length ? ` and ${others.length} more ${others.length === 1 ? "stretch" : "stretches"}` : "";
    warnings.push({ code: one.code, message: `${describeFrames(part.first, part.stop)}${more}: ${one.message}` });
  }
  warnings.push(...noiseWarning(parts));
  return {
    expectedSpikes,
    ensembleStd: whole((part) => part.ensembleStd),
    noiseLevel: weighted((part) => part.noiseLevel),
    modelNoiseLevel: weighted((part) => part.modelNoiseLevel),
    restLevel: weighted((part) => part.restLevel),
    validFrames: validBounds(expectedSpikes),
    warnings,
  };
}

function noiseWarning(parts: Part[]): Finding[] {
  const long = parts.filter((part) => part.stop - part.first >= ENOUGH_FRAMES && Number.isFinite(part.noiseLevel));
  if (long.length < 2) return [];
  const quiet = long.reduce((a, b) => (b.noiseLevel < a.noiseLevel ? b : a));
  const loud = long.reduce((a, b) => (b.noiseLevel > a.noiseLevel ? b : a));
  if (!(loud.noiseLevel > 2 * quiet.noiseLevel)) return [];
  const said = long
    .filter((part) => part === quiet || part === loud)
    .map((part) => `${general(part.noiseLevel, 2)} in ${describeFrames(part.first, part.stop)}`);
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
