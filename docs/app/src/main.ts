/** The page: a recording in, what it holds, what has to be asked, results out. */

import { sameByCommand, sameByPython } from "./commands";
import { describeDff } from "./dff";
import { countModel, wholeCount } from "./counts";
import { csvFile, npyFile, save } from "./downloads";
import type { RoiResult } from "./engine";
import { general } from "./numbers";
import { allAssets, workerOfPage } from "./assets";
import { type Dropped, dropped, together } from "./dropped";
import { Plot } from "./plot";
import { clockAt, type Series } from "./recording";
import { type Facts, toldIndicator } from "./rules";
import type { Answer, Ask, Request } from "./worker";

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;
const input = (id: string) => element<HTMLInputElement>(id);
const worker = await workerOfPage();
const plot = new Plot(element<HTMLCanvasElement>("plot"));

interface Row {
  dff: Float32Array;
  result: RoiResult;
}

let opened: { name: string; format: string; series: Series[] } | null = null;
let chosen = -1;
let asked: Ask | null = null;
let rows: Row[] = [];
let facts: Facts | null = null;
let told: string | null = null; // what the network is told of the indicator
let when: { times: Float64Array; rates: Float64Array } = { times: new Float64Array(), rates: new Float64Array() };

function send(request: Request): void {
  worker.postMessage(request);
}

function open({ name, files }: Dropped): void {
  if (files.size) begin(name, { kind: "open", name, files });
}

function begin(name: string, request: Request): void {
  for (const id of ["problem", "choice", "results", "progress", "same"]) element(id).hidden = true;
  document.body.dataset.state = "reading";
  say(`Reading ${name} …`);
  send(request);
}

function say(text: string, share: number | null = null): void {
  element("progress").hidden = !text;
  element("status").textContent = text;
  const bar = element<HTMLProgressElement>("bar");
  bar.hidden = share === null;
  if (share !== null) bar.value = share;
}

function complain(message: string): void {
  say("");
  element("problem").hidden = false;
  element("problem").textContent = message;
  element<HTMLButtonElement>("infer").disabled = false;
  document.body.dataset.state = "problem";
}

function cell(text: string, name = ""): HTMLTableCellElement {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = name;
  return made;
}

/** A path that is broken behind its slashes. */
function pathCell(path: string): HTMLTableCellElement {
  const made = cell("");
  for (const part of path.split(/(?<=\/)/)) made.append(part, document.createElement("wbr"));
  return made;
}

function list(recording: { name: string; format: string; series: Series[] }): void {
  opened = recording;
  say("");
  element("choice").hidden = false;
  element("name").textContent = recording.name;
  const head = document.createElement("tr");
  for (const title of ["", "Series", "ROIs", "Frames", "Rate", "Holds", "Because"]) {
    const made = document.createElement("th");
    made.textContent = title;
    head.append(made);
  }
  element("series").querySelector("thead")!.replaceChildren(head);
  const body = recording.series.map((series, at) => {
    const row = document.createElement("tr");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "series", disabled: !!series.problem, ariaLabel: series.path || "matrix" });
    const first = document.createElement("td");
    first.append(radio);
    const rate = series.imagingRate ? `${general(series.imagingRate, 4)} Hz` : series.rateWhy;
    const why = series.problem || [series.why, series.scaleWhy].filter(Boolean).join("; ");
    row.append(first, pathCell(series.path || "matrix"), cell(String(series.nRois), "number"), cell(String(series.nFrames), "number"));
    row.append(cell(rate, series.imagingRate ? "short" : ""), cell(series.kind.replaceAll("_", " "), "short"), cell(why));
    row.classList.toggle("out", !!series.problem);
    row.addEventListener("click", () => !series.problem && choose(at));
    return row;
  });
  element("series").querySelector("tbody")!.replaceChildren(...body);
  const usable = recording.series.map((series, at) => ({ series, at })).filter(({ series }) => !series.problem);
  const likely = usable.filter(({ series }) => series.kind === "dff");
  const first = likely.length === 1 || recording.format !== "nwb" ? likely[0] : undefined;
  const meant = first ?? (usable.length === 1 ? usable[0] : undefined);
  if (!usable.length)
    complain(`No series of ${recording.name} can be inferred here: ${recording.series.map((one) => `${one.path}: ${one.problem}`).join("; ")}.`);
  element("ask").hidden = !meant;
  element("note").textContent = meant || !usable.length ? "" : "Several series could be meant: choose one.";
  chosen = -1;
  if (meant) choose(meant.at);
  if (usable.length) document.body.dataset.state = "opened";
}

function choose(at: number): void {
  chosen = at;
  element("ask").hidden = false;
  const series = opened!.series[at];
  element("series").querySelectorAll("tbody tr").forEach((row, i) => {
    row.classList.toggle("chosen", i === at);
    row.querySelector("input")!.checked = i === at;
  });
  input("rate").value = series.imagingRate ? String(series.imagingRate) : "";
  input("indicator").value = series.indicator ?? "";
  input("species").value = /danio rerio|zebrafish/i.test(series.species ?? "") ? "Danio rerio" : "";
  input("scale").value = series.scale === "percent" ? "percent" : "fraction";
  const notes = [...series.notes];
  if (series.raw) notes.push(`dF/F is made of raw fluorescence as --from-raw makes it: ${describeDff(series.raw.method)}.`);
  else if (series.scale === "percent" && !series.scaleStated) notes.push(`The values look like percent: ${series.scaleWhy}.`);
  element("note").textContent = notes.join(" ");
  input("scale").closest("label")!.hidden = !!series.raw;
  input("rois-asked").closest("label")!.hidden = !series.accepted;
}

function infer(): void {
  if (!opened || chosen < 0) return complain("Choose one of the series first.");
  const series = opened.series[chosen];
  const species = input("species").value || (series.species ?? "");
  asked = {
    series: chosen,
    imagingRate: Number(input("rate").value),
    indicator: input("indicator").value.trim(),
    species,
    scale: input("scale").value as Ask["scale"],
    accepted: input("rois-asked").value === "accepted",
    smoothingS: Number(input("smoothing").value),
  };
  rows = [];
  told = toldIndicator(asked.indicator || null, asked.species || null, facts!).name;
  const met = countModel(told, facts!.counts).kind === "met";
  element("interval").textContent = `${100 * facts!.counts.level} % interval (${met ? "met" : "unmet"})`;
  element("interval").title = `The count lies between these with this probability; animals of this preparation were ${met ? "" : "not "}in the training.`;
  if (asked.imagingRate > 0) when = whenOf(series, asked.imagingRate);
  element("problem").hidden = true;
  element("results").hidden = true;
  element("rois").querySelector("tbody")!.replaceChildren();
  element<HTMLButtonElement>("infer").disabled = true;
  element("command").textContent = sameByCommand(opened.name, opened.format, series, asked);
  element("python").textContent = sameByPython(opened.name, opened.format, series, asked);
  element("same").hidden = false;
  document.body.dataset.state = "inferring";
  say("Loading the network …", 0);
  send({ kind: "infer", ask: asked });
}

/** Time and rate of every frame. */
function whenOf(series: Series, imagingRate: number): typeof when {
  const clock = clockAt(series, imagingRate);
  return { times: clock.times(), rates: clock.frameRates() };
}

function add(roi: number, row: Row): void {
  rows[roi] = row;
  const series = opened!.series[chosen];
  const { expectedSpikes, noiseLevel, warnings } = row.result;
  const { expected, seconds, lower, upper } = wholeCount(expectedSpikes, when.rates, noiseLevel, told, facts!.counts);
  const line = document.createElement("tr");
  line.append(cell(String(series.roiIds?.[roi] ?? roi), "number"), cell(general(noiseLevel, 3), "number"));
  line.append(cell(seconds ? expected.toFixed(1) : "", "number"), cell(seconds ? `${lower} to ${upper}` : "", "number short"));
  line.append(cell(seconds ? general(expected / seconds, 3) : "", "number"));
  line.append(cell(warnings.map((one) => one.message).join("; ")));
  line.addEventListener("click", () => show(roi));
  element("rois").querySelector("tbody")!.append(line);
  element("results").hidden = false;
  if (roi === 0) show(0);
  say(`${roi + 1} of ${series.nRois} ROIs`, (roi + 1) / series.nRois);
}

function show(roi: number): void {
  const series = opened!.series[chosen];
  element("rois").querySelectorAll("tbody tr").forEach((row, at) => row.classList.toggle("chosen", at === roi));
  element("caption").textContent = `ROI ${series.roiIds?.[roi] ?? roi}`;
  const { expectedSpikes, ensembleStd } = rows[roi].result;
  plot.show({ dff: rows[roi].dff, expectedSpikes, ensembleStd, ...when });
}

function download(kind: string): void {
  const series = opened!.series[chosen];
  const rates = rows.map((row) => row.result.expectedSpikes);
  const name = `${opened!.name.split("/").at(-1)!.replace(/\.[^.]*$/, "")}_expected_spikes.${kind}`;
  if (kind === "nwb") send({ kind: "sidecar" });
  if (kind === "npy") save(npyFile(rates), name);
  if (kind === "csv") save(csvFile(rates, rates.map((_, roi) => `roi_${series.roiIds?.[roi] ?? roi}`), when.times), name);
}

worker.onmessage = ({ data }: MessageEvent<Answer>) => {
  if (data.kind === "opened") list(data);
  else if (data.kind === "roi") add(data.roi, data);
  else if (data.kind === "sidecar") {
    const stem = opened!.name.split("/").at(-1)!.replace(/\.[^.]*$/, "");
    save(new Blob([data.bytes as Uint8Array<ArrayBuffer>], { type: "application/x-hdf5" }), `${stem}_desc-spikes_ophys.nwb`);
  } else if (data.kind === "problem") complain(data.message);
  else {
    for (const { roi, code, message } of data.warnings) {
      rows[roi].result.warnings.push({ code, message });
      const told = element("rois").querySelectorAll("tbody tr")[roi].lastElementChild!;
      told.textContent = rows[roi].result.warnings.map((one) => one.message).join("; ");
    }
    say(`${rows.length} ROIs in ${data.seconds.toFixed(1)} s. ${[data.told, ...data.notes].join(" ")}`, 1);
    element<HTMLButtonElement>("infer").disabled = false;
    document.querySelector<HTMLButtonElement>("[data-file=nwb]")!.hidden = opened!.format !== "nwb";
    document.body.dataset.state = "done";
  }
};
worker.onerror = (event) => complain(`The page could not start its worker: ${event.message || "this browser allows none"}.`);

const drop = element("drop");
for (const name of ["dragenter", "dragover"])
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  dropped(event.dataTransfer!).then(open, (error: Error) => complain(error.message));
});
input("file").addEventListener("change", () => open(together(Array.from(input("file").files ?? []))));
element("remote").addEventListener("submit", (event) => {
  event.preventDefault();
  begin(input("address").value, { kind: "address", address: input("address").value });
});
element("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  infer();
});
element("downloads").querySelectorAll("button").forEach((button) => button.addEventListener("click", () => download(button.dataset.file!)));
allAssets().then(
  (assets) => {
    facts = JSON.parse(new TextDecoder().decode(assets["facts.json"]));
    const options = facts!.indicators.map((one) => Object.assign(document.createElement("option"), { value: one.name }));
    element("indicators").replaceChildren(...options);
    send({ kind: "assets", assets });
    document.body.dataset.state = "ready";
  },
  (error: Error) => complain(`The page cannot read its own files: ${error.message}. Build it with npm run build.`),
);
