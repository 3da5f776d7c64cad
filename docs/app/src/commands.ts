/** The command and the Python line that do what the page did. */

import type { Series } from "./recording";
import { quotedForShell } from "./recording";
import type { Ask } from "./worker";

export function sameByCommand(name: string, format: string, series: Series, ask: Ask): string {
  const words = ["nwb-cascade", "infer", quotedForShell(name)];
  if (format === "nwb") words.push("--series", quotedForShell(series.path));
  else if (format === "mat") words.push("--variable", quotedForShell(series.path));
  if (series.imagingRate !== ask.imagingRate) words.push("--imaging-rate", String(ask.imagingRate));
  if (ask.indicator && ask.indicator !== series.indicator) words.push("--indicator", quotedForShell(ask.indicator));
  if (ask.species && ask.species !== series.species) words.push("--species", quotedForShell(ask.species));
  if (series.raw) words.push("--from-raw");
  else if (ask.scale !== "fraction" && !series.scaleStated) words.push("--scale", ask.scale);
  if (ask.smoothingS !== 0.05) words.push("--smoothing", String(ask.smoothingS));
  return words.join(" ");
}

export function sameByPython(name: string, format: string, series: Series, ask: Ask): string {
  const quoted = (text: string) => JSON.stringify(text);
  const words = [quoted(name)];
  if (format === "nwb") words.push(`series=${quoted(series.path)}`);
  else if (format === "mat") words.push(`variable=${quoted(series.path)}`);
  if (series.imagingRate !== ask.imagingRate) words.push(`imaging_rate=${ask.imagingRate}`);
  if (ask.indicator && ask.indicator !== series.indicator) words.push(`indicator=${quoted(ask.indicator)}`);
  if (ask.species && ask.species !== series.species) words.push(`species=${quoted(ask.species)}`);
  if (series.raw) words.push("from_raw=True");
  else if (ask.scale !== "fraction" && !series.scaleStated) words.push(`scale=${quoted(ask.scale)}`);
  if (ask.smoothingS !== 0.05) words.push(`smoothing_s=${ask.smoothingS}`);
  return `from nwb_cascade import annotate\nannotate(${words.join(", ")})`;
}
