/** What the page knows of a recording, whatever it is read from. */

import { FrameClock } from "./clock";
import type { DffMethod } from "./dff";
import { general } from "./numbers";

export interface Series {
  path: string;
  kind: string;
  why: string;
  nRois: number;
  nFrames: number;
  imagingRate: number | null;
  rateWhy: string;
  /** Time of the first frame, s, and times of all, if the file states them one by one. */
  startS: number;
  stamps: Float64Array | null;
  /** Intervals whose frames count as missing, s. */
  invalid: [number, number][];
  unit: string;
  scale: "fraction" | "percent" | "counts" | "unknown";
  scaleWhy: string;
  scaleStated: boolean;
  indicator: string | null;
  species: string | null;
  roiIds: number[] | null;
  /** How dF/F is made, if the series holds raw fluorescence, and of which neuropil. */
  raw: { method: DffMethod; neuropil: string | null } | null;
  /** ROIs that were accepted as cells, and frames to leave out of dF/F; null where that is not stated. */
  accepted: boolean[] | null;
  leftOut: Uint8Array | null;
  /** What to know about the traces, one sentence each. */
  notes: string[];
  /** Why it cannot be inferred here; empty if it can. */
  problem: string;
}

export interface Recording {
  name: string;
  format: "nwb" | "npy" | "mat" | "suite2p";
  series: Series[];
  /** Rows [first, stop) of a series, as stored values in their unit: conversion and offset applied. */
  read(series: number, first: number, stop: number): Float32Array[];
  /** The same rows of the neuropil that `raw` names. */
  neuropil?(series: number, first: number, stop: number): Float32Array[];
  close(): void;
  /** The open file of an NWB recording, from which the session is copied. */
  file?: unknown;
}

export class InputProblem extends Error {}

/** When the frames of a series were: as it states, or evenly at a rate that somebody gives (`nwb.timing.clock_at`). */
export function clockAt(series: Series, imagingRate: number): FrameClock {
  const { nFrames, startS, stamps, invalid } = series;
  let clock: FrameClock;
  if (!stamps) clock = FrameClock.fromRate(imagingRate, nFrames, startS);
  else if (imagingRate === series.imagingRate) clock = FrameClock.fromTimestamps(stamps);
  else clock = givenClock(stamps, imagingRate, nFrames);
  if (!invalid.length) return clock;
  const times = clock.times();
  const touched = new Uint8Array(nFrames);
  for (const stretch of clock.stretches)
    for (let t = stretch.first; t < stretch.stop; t++)
      if (invalid.some(([start, stop]) => times[t] + 1 / stretch.rate > start && times[t] < stop)) touched[t] = 1;
  return clock.without(touched, "they lie in invalid_times");
}

function givenClock(stamps: Float64Array, imagingRate: number, nFrames: number): FrameClock {
  if (stamps.length === nFrames && stamps.every((time, t) => !t || time > stamps[t - 1]))
    return FrameClock.fromRate(imagingRate, nFrames, 0, stamps);
  const known = stamps.findIndex(Number.isFinite);
  const start = known < 0 ? 0 : stamps[known] - known / imagingRate;
  const note = `Its timestamps are not used: frames follow at the given ${general(imagingRate)} Hz from ${general(start)} s on.`;
  return FrameClock.fromRate(imagingRate, nFrames, start, null, [note]);
}

/** The first ROIs and the middle frames, as `core.traces.sample_window`. */
export function sampleWindow(nRois: number, nFrames: number): { rois: number; first: number; stop: number } {
  const first = Math.max(0, Math.floor((nFrames - 1000) / 2));
  return { rois: Math.min(32, nRois), first, stop: Math.min(first + 1000, nFrames) };
}

/** A name of one of Python's commands as it is typed into a shell. */
export function quotedForShell(word: string): string {
  return /^-{0,2}[a-z]+(-[a-z]+)*$|^[\d.]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`;
}
