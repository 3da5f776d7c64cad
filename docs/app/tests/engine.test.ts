/** The page's rules and engine against what the Python package writes: `python -m scripts.prepare_app`. */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { judgeScale, kindsOfWords } from "../src/classify";
import { FrameClock, regularity } from "../src/clock";
import { wholeCount } from "../src/counts";
import { describeDff, dffOf } from "../src/dff";
import { inferBlock, type RoiResult } from "../src/engine";
import { loadNetwork } from "../src/network";
import { arrayIn, numberIn, readPickled } from "../src/pickled";
import { Population } from "../src/population";
import { tell } from "../src/rest";
import { canonicalIndicator, type Facts, gaussianKernel, noiseChanges, noiseLevel, smooth, toldIndicator } from "../src/rules";

const read = (path: string) => readFileSync(new URL(path, import.meta.url));
const facts: Facts = JSON.parse(read("../public/model/facts.json").toString());
const vectors = JSON.parse(read("vectors.json").toString());

function unpacked(text: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float32Array(bytes.buffer);
}

function times(text: string): Float64Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return new Float64Array(bytes.buffer);
}

function clockOf(one: any): FrameClock {
  if (!one.times) return FrameClock.fromRate(one.imaging_rate, one.n_frames);
  const missing = new Uint8Array(one.n_frames);
  for (const frame of one.missing) missing[frame] = 1;
  return FrameClock.fromTimestamps(times(one.times)).without(missing, "");
}

function rows(text: string, n: number): Float32Array[] {
  const values = unpacked(text);
  return Array.from({ length: values.length / n }, (_, i) => values.slice(i * n, (i + 1) * n));
}

function difference(received: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(received.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const both = Number.isNaN(received[i]) && Number.isNaN(expected[i]);
    largest = Math.max(largest, both ? 0 : Math.abs(received[i] - expected[i]));
    if (!both && Number.isNaN(received[i] - expected[i])) return NaN;
  }
  return largest;
}

describe.each(Object.entries<any>({ ...vectors.recordings, ...vectors.uneven }))("%s", (_, one) => {
  const told: Facts = { ...facts, conditions: one.conditions };
  const traces = rows(one.dff, one.n_frames);
  const clock = clockOf(one);
  let results: RoiResult[];
  beforeAll(async () => {
    const own = one.conditions === facts.conditions;
    const network = await loadNetwork(read(own ? "../public/model/model.onnx" : "other.onnx"));
    const indicator = toldIndicator(one.indicator, one.species, facts);
    const asked = { clock, told: indicator, smoothingS: facts.smoothing_s };
    results = [];
    const population = new Population(one.n_frames, clock.imagingRate);
    for await (const result of inferBlock(traces, asked, told, network)) {
      if (Number.isFinite(result.modelNoiseLevel)) population.add(results.length, traces[results.length]);
      results.push(result);
    }
    for (const { roi, code, message } of population.warnings()) results[roi].warnings.push({ code, message });
  }, 300_000);

  test("noise levels", () => {
    expect(difference(results.map((result) => result.noiseLevel), unpacked(one.noise_levels))).toBeLessThan(1e-4);
  });

  test.skipIf(one.times)("noise levels of whole traces and their changes", () => {
    expect(difference(traces.map((trace) => noiseLevel(trace, one.imaging_rate)), unpacked(one.trace_noise_levels))).toBeLessThan(1e-4);
    expect(noiseChanges(traces, one.imaging_rate)).toEqual(one.changes);
  });

  test.skipIf(one.times)("rest level and activity", () => {
    const levels = unpacked(one.trace_noise_levels);
    const told = traces.map((trace, roi) => tell([trace], [one.imaging_rate], [levels[roi]], facts));
    expect(difference(told.map(({ first }) => first[0]), unpacked(one.rest_first))).toBeLessThan(1e-5);
    expect(difference(told.map(({ step }) => step[0] * one.n_frames), unpacked(one.rest_moves))).toBeLessThan(1e-5);
    expect(difference(told.map(({ activity }) => activity), unpacked(one.activity))).toBeLessThan(1e-5);
  });

  test("expected spikes to 1e-4", () => {
    const [expected, deviation] = [rows(one.expected_spikes, one.n_frames), rows(one.ensemble_std, one.n_frames)];
    results.forEach((result, roi) => {
      expect(difference(result.expectedSpikes, expected[roi]), `ROI ${roi}`).toBeLessThan(1e-4);
      expect(difference(result.ensembleStd, deviation[roi]), `ROI ${roi}`).toBeLessThan(1e-4);
    });
    expect(results.map((result) => result.validFrames)).toEqual(one.valid_frames);
    const levels = results.map((result) => result.modelNoiseLevel);
    expect(difference(levels, unpacked(one.model_noise_levels))).toBeLessThan(1e-4);
  });

  test.skipIf(!one.counts)("spike counts of the recording and their intervals", () => {
    const rates = new Float64Array(one.n_frames).fill(one.imaging_rate);
    const { name } = toldIndicator(one.indicator, one.species, facts);
    rows(one.expected_spikes, one.n_frames).forEach((values, roi) => {
      const { expected, lower, upper } = wholeCount(values, rates, results[roi].noiseLevel, name, facts.counts);
      const [known, least, most] = one.counts[roi].map((value: number | null) => value ?? NaN);
      expect(difference([expected], [known])).toBeLessThan(1e-3);
      expect([lower, upper]).toEqual([least, most]);
    });
  });

  test("warnings in the same words", () => {
    const received = results.map((result) => result.warnings.map(({ code, message }) => [code, message]));
    const expected = results.map((_, roi) => one.warnings.filter(([at]: [number]) => at === roi).map(([, code, text]: string[]) => [code, text]));
    expect(received).toEqual(expected);
  });
});

test.each<any>(vectors.clocks)("stretches of $name", (one) => {
  const stamps = times(one.times);
  if (!one.record) return expect(() => FrameClock.fromTimestamps(stamps)).toThrow(one.why);
  const clock = FrameClock.fromTimestamps(stamps);
  const record = clock.record() as any[];
  expect(record.map(({ frames, holes }) => ({ frames, holes }))).toEqual(one.record.map(({ frames, holes }: any) => ({ frames, holes })));
  record.forEach(({ imaging_rate_hz }, i) => expect(imaging_rate_hz).toBeCloseTo(one.record[i].imaging_rate_hz, 6));
  expect(clock.imagingRate).toBeCloseTo(one.rate, 6);
  expect(clock.notes).toEqual(one.notes);
  expect(`from timestamps${regularity(clock, stamps)}`).toBe(one.why);
});

test.each<any>(vectors.raw)("dF/F of raw fluorescence, clock $clock, $described", (one) => {
  const stamps = times(vectors.clocks.find(({ name }: any) => name === one.clock).times).slice(0, one.n_frames);
  const { stretches } = FrameClock.fromTimestamps(stamps);
  const [fluorescence, neuropil, expected] = [one.fluorescence, one.neuropil, one.dff].map((text) => rows(text, one.n_frames));
  fluorescence.forEach((trace, roi) => {
    const { dff, notes } = dffOf(trace, neuropil[roi], stretches, one.method);
    expect(difference(dff, expected[roi]), `ROI ${roi}`).toBeLessThan(1e-5);
    expect(notes.map(({ code, message }) => [code, message])).toEqual(one.notes[roi]);
  });
  expect(describeDff(one.method)).toBe(one.described);
});

test.each<any>(vectors.pickled)("settings of suite2p, protocol $protocol", ({ content }) => {
  const bytes = Uint8Array.from(Buffer.from(content, "base64"));
  const found = readPickled("ops.npy", bytes.buffer);
  expect([numberIn(found, "fs"), numberIn(found, "neucoeff"), numberIn(found, "date_proc")]).toEqual([7.5, 0.5, null]);
  expect(arrayIn(found, "badframes")).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
  expect(found.get("diameter")).toEqual([12, -3, 1e12]);
  expect(() => readPickled("ops.npy", bytes.slice(0, -30).buffer)).toThrow("Expected ops.npy as a dictionary saved by NumPy; reading it fails");
});

test("smoothing", () => {
  for (const one of vectors.smoothed) {
    const received = smooth(unpacked(one.values), gaussianKernel(one.smoothing_s, one.rate));
    expect(difference(received, unpacked(one.smoothed))).toBeLessThan(1e-6);
  }
});

test("scales", () => {
  for (const one of vectors.scales) {
    const { scale, why, stated } = judgeScale(rows(one.values, one.n_frames), one.rate, one.unit);
    expect({ scale, why, stated }).toEqual({ scale: one.scale, why: one.why, stated: one.stated });
  }
});

test("kinds and indicators by their words", () => {
  for (const [name, kind] of Object.entries(vectors.kinds)) expect(kindsOfWords(name)[0] ?? null, name).toBe(kind);
  for (const [text, name] of Object.entries(vectors.canonical)) expect(canonicalIndicator(text, facts), text).toBe(name);
});
