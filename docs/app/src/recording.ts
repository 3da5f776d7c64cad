/** What the page knows of a recording, whatever it is read from. */

export interface Series {
  path: string;
  kind: string;
  why: string;
  nRois: number;
  nFrames: number;
  imagingRate: number | null;
  rateWhy: string;
  startS: number;
  /** Times of the frames, s, if the file states them one by one. */
  stamps?: Float64Array | null;
  unit: string;
  scale: "fraction" | "percent" | "counts" | "unknown";
  scaleWhy: string;
  scaleStated: boolean;
  indicator: string | null;
  species: string | null;
  roiIds: number[] | null;
  /** Why it cannot be inferred here; empty if it can. */
  problem: string;
}

export interface Recording {
  name: string;
  format: "nwb" | "npy" | "mat";
  series: Series[];
  /** Rows [first, stop) of a series, as stored values in their unit: conversion and offset applied. */
  read(series: number, first: number, stop: number): Float32Array[];
  close(): void;
  /** The open file of an NWB recording, from which the session is copied. */
  file?: unknown;
}

export class InputProblem extends Error {}

/** The first ROIs and the middle frames, as `core.traces.sample_window`. */
export function sampleWindow(nRois: number, nFrames: number): { rois: number; first: number; stop: number } {
  const first = Math.max(0, Math.floor((nFrames - 1000) / 2));
  return { rois: Math.min(32, nRois), first, stop: Math.min(first + 1000, nFrames) };
}

/** A name of one of Python's commands as it is typed into a shell. */
export function quotedForShell(word: string): string {
  return /^-{0,2}[a-z]+(-[a-z]+)*$|^[\d.]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`;
}
