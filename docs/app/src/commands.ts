/** The command and the Python line that do what the page did. */

import type { Series } from "./recording";
import { quotedForShell } from "./recording";
import type { Ask } from "./worker";

type Option = [command: string, python: string, value: string | number];

/** What is asked for beside what the recording states: option of the command, parameter in Python, value. */
function options(format: string, series: Series, ask: Ask): Option[] {
  const found: Option[] = [];
  if (format === "nwb") found.push(["--series", "series", series.path]);
  else if (format === "mat") found.push(["--variable", "variable", series.path]);
  if (series.imagingRate !== ask.imagingRate) found.push(["--imaging-rate", "imaging_rate", ask.imagingRate]);
  if (ask.indicator && ask.indicator !== series.indicator) found.push(["--indicator", "indicator", ask.indicator]);
  if (ask.species && ask.species !== series.species) found.push(["--species", "species", ask.species]);
  if (series.accepted && !ask.accepted) found.push(["--rois", "rois", "all"]);
  if (!series.raw && ask.scale !== "fraction" && !series.scaleStated) found.push(["--scale", "scale", ask.scale]);
  if (ask.smoothingS !== 0.05) found.push(["--smoothing", "smoothing_s", ask.smoothingS]);
  return found;
}

export function sameByCommand(name: string, format: string, series: Series, ask: Ask): string {
  const file = quotedForShell(format === "suite2p" && name === "F.npy" ? "FOLDER" : name);
  if (isLoose(format, series, ask)) return `nwb-cascade infer ${file}  # the folder of the plane with its ops.npy, which states the rate`;
  const words = options(format, series, ask).flatMap(([option, , value]) => [option, typeof value === "number" ? String(value) : quotedForShell(value)]);
  if (series.raw && format === "nwb") words.push("--from-raw");
  return ["nwb-cascade", "infer", file, ...words].join(" ");
}

export function sameByPython(name: string, format: string, series: Series, ask: Ask): string {
  if (isLoose(format, series, ask)) return fromArrays(series, ask);
  const file = format === "suite2p" && name === "F.npy" ? "FOLDER" : name;
  const words = options(format, series, ask).map(([, parameter, value]) => `${parameter}=${JSON.stringify(value)}`);
  const isRaw = series.raw && format === "nwb";
  if (isRaw) words.push("from_raw=FromRaw()");
  const also = isRaw ? "from nwb_cascade.options import FromRaw\n" : "";
  return `from nwb_cascade import annotate\n${also}annotate(${[JSON.stringify(file), ...words].join(", ")})`;
}

/** Files of suite2p without their rate, or at another one than they state, which the command takes from them. */
function isLoose(format: string, series: Series, ask: Ask): boolean {
  return format === "suite2p" && series.imagingRate !== ask.imagingRate;
}

function fromArrays({ raw }: Series, ask: Ask): string {
  const method = raw!.neuropil ? `DffMethod(neuropil_factor=${raw!.method.neuropil_factor})` : 'DffMethod(neuropil="none")';
  const around = raw!.neuropil ? ', neuropil=np.load("Fneu.npy")' : "";
  const indicator = ask.indicator ? `, indicator=${JSON.stringify(ask.indicator)}` : "";
  const smoothing = ask.smoothingS === 0.05 ? "" : `, smoothing_s=${ask.smoothingS}`;
  return [
    "import numpy as np",
    "from nwb_cascade import infer",
    "from nwb_cascade.dff import DffMethod, compute_dff",
    `dff = compute_dff(np.load("F.npy"), ${ask.imagingRate}, ${method}${around}).dff`,
    `infer(dff, ${ask.imagingRate}${indicator}${smoothing})`,
  ].join("\n");
}
