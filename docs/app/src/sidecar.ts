/** The result as a small NWB file: session, subject, ROIs and rates, as `nwb_cascade.nwb.sidecar` lays them out. */

import * as h5wasm from "h5wasm";
import type { FrameClock } from "./clock";
import { countModel, wholeCount } from "./counts";
import type { RoiResult } from "./engine";
import { InputProblem, type Series } from "./recording";
import type { Facts } from "./rules";
import type { Ask } from "./worker";

type Item = h5wasm.Group | h5wasm.Dataset;
const SESSION = ["session_id", "experimenter", "experiment_description", "institution", "lab", "keywords", "notes", "pharmacology", "protocol", "related_publications", "slices", "data_collection", "surgery", "virus", "stimulus"];
const GROUPS = ["devices", "optophysiology", "subject"];
const RUN = "InferredSpikeRates";
const [FLOAT, INTEGER, STRING, REFERENCE, COMPOUND, ENUM] = [1, 0, 3, 7, 6, 8];

export interface Specifications {
  [namespace: string]: { [version: string]: { [source: string]: string } };
}

export interface Run {
  name: string;
  series: Series;
  clock: FrameClock;
  ask: Ask;
  told: string;
  /** Name of what the network is told of the indicator. */
  indicator: string | null;
  results: RoiResult[];
}

/** Write the file into the worker's memory and return its bytes. */
export async function sidecar(source: h5wasm.File, run: Run, facts: Facts, specifications: Specifications): Promise<Uint8Array> {
  const { FS } = await h5wasm.ready;
  const path = `/sidecar${crypto.randomUUID()}.nwb`;
  const file = new h5wasm.File(path, "w");
  try {
    const made = new Sidecar(source, file);
    await made.write(run, facts, specifications);
    file.close();
    return (FS as any).readFile(path);
  } finally {
    (FS as any).unlink(path);
  }
}

class Sidecar {
  private references: { path: string; name: string; target: string }[] = [];

  constructor(private source: h5wasm.File, private file: h5wasm.File) {}

  async write(run: Run, facts: Facts, specifications: Specifications): Promise<void> {
    const region = this.source.get(`${run.series.path}/rois`) as h5wasm.Dataset;
    const stated = region.attrs["table"]?.value as unknown;
    const reference = (Array.isArray(stated) ? stated[0] : stated) as h5wasm.Reference;
    const table = (region.dereference(reference) as unknown as h5wasm.Group | null)?.path ?? "";
    const [, home] = /^\/processing\/([^/]+)\//.exec(table) ?? [];
    if (!home) throw new InputProblem("The table of ROIs does not lie in a processing module: let the command write the NWB file.");
    const key = await hashed(JSON.stringify({ by: "page", ...this.provenance(run), ...this.parameters(run, facts) }));
    this.root(await identified(`${this.read("/identifier") ?? ""} ${RUN} ${key}`));
    this.session();
    const way = table.split("/").slice(1, -1);
    way.forEach((_, depth) => this.group(`/${way.slice(0, depth + 1).join("/")}`, true));
    this.copy(table);
    const module = `/processing/${home}`;
    const model = this.model(module, run.ask, facts);
    this.rates(`${module}/${RUN}`, region, table, model, key, run, facts);
    this.specify(specifications);
    for (const { path, name, target } of this.references) {
      const found = this.file.get(target) as Item | null;
      if (found) (this.file.get(path) as Item).create_attribute(name, found.create_reference());
    }
  }

  private root(identifier: string): void {
    const version = String(this.source.attrs["nwb_version"]?.value ?? "");
    this.describe("/", { namespace: "core", neurodata_type: "NWBFile", nwb_version: version });
    for (const path of ["/acquisition", "/analysis", "/general", "/processing", "/stimulus", "/stimulus/presentation", "/stimulus/templates"])
      this.group(path, false);
    for (const name of ["session_description", "session_start_time", "timestamps_reference_time"])
      if (this.source.get(`/${name}`)) this.copy(`/${name}`);
    this.texts("/identifier", [identifier], true);
    this.texts("/file_create_date", [new Date().toISOString().replace("Z", "+00:00")], false);
  }

  private session(): void {
    for (const name of [...SESSION, ...GROUPS]) {
      const item = this.source.get(`/general/${name}`);
      if (item && !(name === "stimulus" && item instanceof h5wasm.Group)) this.copy(`/general/${name}`);
    }
  }

  private model(module: string, ask: Ask, facts: Facts): string {
    const path = `${module}/${facts.name}`;
    const { config } = facts;
    this.group(path, false);
    this.describe(path, {
      namespace: "ndx-spike-inference",
      neurodata_type: "SpikeInferenceModel",
      version: config.version,
      family: facts.family,
      architecture: config.architecture,
      kernel: config.kernel,
      weights_sha256: facts.weights_sha256,
      software_name: "nwb-cascade (page)",
      software_version: facts.software_version,
      description: `Infers expected spikes per frame from dF/F recorded at ${facts.rates[0]} to ${facts.rates[1]} Hz.`,
      license: config.licence,
      citation: config.citation,
    });
    const group = this.file.get(path) as h5wasm.Group;
    group.create_attribute("smoothing_s", Float64Array.of(ask.smoothingS), []);
    group.create_attribute("ensemble_size", Int32Array.of(config.ensemble_size), []);
    this.numbers(`${path}/model_rates_hz`, Float64Array.from(facts.rates), [2], { unit: "Hz" });
    this.numbers(`${path}/noise_levels`, Float64Array.from(config.noise_levels), [config.noise_levels.length], { unit: "% Hz^-1/2" });
    this.texts(`${path}/configuration`, [facts.configuration], true);
    if (config.training_datasets.length) this.texts(`${path}/training_datasets`, config.training_datasets, false);
    return path;
  }

  private rates(path: string, region: h5wasm.Dataset, table: string, model: string, key: string, run: Run, facts: Facts): void {
    const { series, results, ask } = run;
    const smoothing = ask.smoothingS ? `smoothed by a gaussian kernel of ${ask.smoothingS} s` : "not smoothed";
    this.group(path, false);
    this.describe(path, {
      namespace: "ndx-spike-inference",
      neurodata_type: "InferredSpikeRateSeries",
      alignment: "trained",
      threshold: "nonnegative",
      comments: "Computed in a browser.",
      description: `Expected spikes per frame inferred from ${series.path} by ${facts.name}, ${smoothing}.`,
      run_key: key,
      run_parameters: JSON.stringify(this.parameters(run, facts)),
    });
    const matrix = (read: (result: RoiResult) => Float32Array) => {
      const values = new Float32Array(series.nFrames * results.length);
      results.forEach((result, roi) => read(result).forEach((value, t) => (values[t * results.length + roi] = value)));
      return values;
    };
    const shape = [series.nFrames, results.length];
    this.numbers(`${path}/data`, matrix((result) => result.expectedSpikes), shape, { unit: "spikes/frame" });
    const data = this.file.get(`${path}/data`) as h5wasm.Dataset;
    for (const [name, value] of [["conversion", 1], ["offset", 0], ["resolution", -1]] as const)
      data.create_attribute(name, Float64Array.of(value), []);
    this.numbers(`${path}/ensemble_std`, matrix((result) => result.ensembleStd), shape, { unit: "spikes/frame" });
    const each = (read: (result: RoiResult) => number) => Float32Array.from(results, read);
    this.numbers(`${path}/noise_level`, each((result) => result.noiseLevel), [results.length], { unit: "% Hz^-1/2" });
    this.numbers(`${path}/model_noise_level`, each((result) => result.modelNoiseLevel), [results.length], { unit: "% Hz^-1/2" });
    const frames = BigInt64Array.from(results.flatMap((result) => result.validFrames.map(BigInt)));
    this.numbers(`${path}/valid_frames`, frames, [results.length, 2], { unit: "frames" });
    this.counts(path, run, facts);
    const warnings = results.map((result) => result.warnings.map((one) => `${one.code}: ${one.message}`).join("\n"));
    if (warnings.some(Boolean)) this.texts(`${path}/roi_warnings`, warnings, false);
    this.texts(`${path}/source_provenance`, [JSON.stringify(this.provenance(run))], true);
    const rows = BigInt64Array.from(Array.from(region.value as unknown as ArrayLike<number>, (row) => BigInt(row)));
    this.numbers(`${path}/rois`, rows, [rows.length], { namespace: "hdmf-common", neurodata_type: "DynamicTableRegion", description: "ROIs" });
    this.references.push({ path: `${path}/rois`, name: "table", target: table });
    this.file.create_soft_link(model, `${path.slice(1)}/model`);
    const { timestamps } = run.clock;
    if (timestamps) {
      this.numbers(`${path}/timestamps`, timestamps, [timestamps.length], { unit: "seconds" });
      (this.file.get(`${path}/timestamps`) as h5wasm.Dataset).create_attribute("interval", Int32Array.of(1), []);
    } else {
      this.numbers(`${path}/starting_time`, Float64Array.of(run.clock.startS), [], { unit: "seconds" });
      (this.file.get(`${path}/starting_time`) as h5wasm.Dataset).create_attribute("rate", Float64Array.of(ask.imagingRate), []);
    }
  }

  /** Spike count of every ROI with its interval, and the distribution that other windows need. */
  private counts(path: string, { clock, indicator, results }: Run, { counts }: Facts): void {
    const frameRates = clock.frameRates();
    const found = results.map((result) => wholeCount(result.expectedSpikes, frameRates, result.noiseLevel, indicator, counts));
    const model = countModel(indicator, counts);
    this.describe(path, { spike_count_class: model.kind, spike_count_parameters: JSON.stringify(model) });
    const group = this.file.get(path) as h5wasm.Group;
    group.create_attribute("spike_count_level", Float64Array.of(counts.level), []);
    group.create_attribute("spike_count_gain", Float64Array.of(1), []);
    this.numbers(`${path}/spike_count`, Float32Array.from(found, ({ expected }) => expected), [found.length], { unit: "spikes" });
    const bounds = Float32Array.from(found.flatMap(({ lower, upper }) => [lower, upper]));
    this.numbers(`${path}/spike_count_interval`, bounds, [found.length, 2], { unit: "spikes" });
  }

  private provenance(run: Run): Record<string, unknown> {
    const { series, ask } = run;
    return {
      file_identifier: this.read("/identifier"),
      file_name: run.name.split("/").at(-1),
      object_id: (this.source.get(series.path) as h5wasm.Group).attrs["object_id"]?.value ?? "",
      object_path: series.path,
      n_rois: series.nRois,
      n_frames: series.nFrames,
      imaging_rate_hz: ask.imagingRate,
      scale: ask.scale,
    };
  }

  private parameters(run: Run, facts: Facts): Record<string, unknown> {
    const { ask } = run;
    return {
      model: facts.name,
      weights_sha256: facts.weights_sha256,
      imaging_rate_hz: ask.imagingRate,
      indicator: ask.indicator || null,
      species: ask.species || null,
      indicator_told: run.told,
      threshold: "nonnegative",
      alignment: "trained",
      kernel: "gaussian",
      smoothing_s: ask.smoothingS,
      ...(run.series.raw ? { dff: { method: { ...facts.dff_method, ...run.series.raw.method }, neuropil_series: run.series.raw.neuropil } } : {}),
      ...(run.clock.isEven ? {} : { stretches: run.clock.record() }),
      software: { "nwb-cascade": facts.software_version, runtime: "onnxruntime-web" },
    };
  }

  private specify(specifications: Specifications): void {
    this.group("/specifications", false, false);
    for (const [namespace, versions] of Object.entries(specifications)) {
      this.group(`/specifications/${namespace}`, false, false);
      for (const [version, sources] of Object.entries(versions)) {
        this.group(`/specifications/${namespace}/${version}`, false, false);
        for (const [name, text] of Object.entries(sources)) this.texts(`/specifications/${namespace}/${version}/${name}`, [text], true);
      }
    }
    this.references.push({ path: "/", name: ".specloc", target: "/specifications" });
  }

  /** A group, with the attributes that it has in the source if it is `as there`. */
  private group(path: string, asThere: boolean, identified = false): void {
    if (this.file.get(path)) {
      if (asThere && !Object.keys((this.file.get(path) as h5wasm.Group).attrs).length) this.attributes(path);
      return;
    }
    this.file.create_group(path.slice(1));
    if (asThere) this.attributes(path);
    else if (identified) this.describe(path, {});
  }

  private describe(path: string, texts: Record<string, string>): void {
    const item = this.file.get(path) as Item;
    for (const [name, text] of Object.entries(texts)) if (text) item.create_attribute(name, text);
    if (texts.neurodata_type) item.create_attribute("object_id", crypto.randomUUID());
  }

  private texts(path: string, values: string[], single: boolean): void {
    const dtype = "S";
    this.file.create_dataset({ name: path.slice(1), data: values, shape: single ? [] : [values.length], dtype });
  }

  private numbers(path: string, data: Float32Array | Float64Array | BigInt64Array, shape: number[], texts: Record<string, string>): void {
    const large = data.length > 4096;
    const chunks = large ? [Math.min(shape[0], 2 ** 14), ...shape.slice(1).map((size) => Math.min(size, 8))] : null;
    this.file.create_dataset({ name: path.slice(1), data: data as Float32Array, shape, ...(chunks ? { chunks, compression: 4 } : {}) });
    this.describe(path, texts);
  }

  private read(path: string): string | null {
    const item = this.source.get(path);
    return item instanceof h5wasm.Dataset && typeof item.value === "string" ? item.value : null;
  }

  /** Copy a group or dataset with all below it; what links lead to is linked, if it is copied as well. */
  private copy(path: string): void {
    const item = this.source.get(path);
    if (item instanceof h5wasm.Dataset) return this.copyDataset(item, path);
    if (!(item instanceof h5wasm.Group)) return;
    this.file.create_group(path.slice(1));
    this.attributes(path);
    for (const name of item.keys()) {
      const target = this.source.get_link(`${path}/${name}`);
      if (target && target.startsWith("/general/")) this.file.create_soft_link(target, `${path.slice(1)}/${name}`);
      else if (!target) this.copy(`${path}/${name}`);
    }
  }

  private copyDataset(item: h5wasm.Dataset, path: string): void {
    const { metadata } = item;
    const shape = metadata.shape ?? [];
    const count = shape.reduce((a, b) => a * b, 1);
    if (!count) return;
    if (metadata.type === STRING) {
      const value = item.value;
      this.texts(path, (Array.isArray(value) ? value.flat() : [value]) as string[], !shape.length);
    } else if ([FLOAT, INTEGER, COMPOUND, ENUM].includes(metadata.type)) {
      const { Module } = h5wasm as any;
      const pointer = Module._malloc(count * metadata.size);
      try {
        Module.get_dataset_data(this.source.file_id, path, null, null, null, BigInt(pointer));
        const shapes = { shape: shape.map(BigInt), maxshape: shape.map(BigInt), chunks: null };
        Module.create_dataset(this.file.file_id, path, BigInt(pointer), { ...metadata, ...shapes, compression: 0, compression_opts: [], track_order: false });
      } finally {
        Module._free(pointer);
      }
    } else return;
    this.attributes(path);
  }

  private attributes(path: string): void {
    const [from, to] = [this.source.get(path) as Item, this.file.get(path) as Item];
    for (const [name, attribute] of Object.entries(from.attrs)) {
      const value = attribute.value as any;
      const { type } = (attribute as any).metadata;
      if (name === "object_id") to.create_attribute(name, crypto.randomUUID());
      else if (type === REFERENCE) {
        const reference = Array.isArray(value) ? value[0] : value;
        const target = from.dereference(reference as h5wasm.Reference) as unknown as Item | null;
        if (target) this.references.push({ path, name, target: target.path });
      } else if (type === STRING || type === FLOAT || type === INTEGER) to.create_attribute(name, value, attribute.shape, attribute.dtype);
    }
  }
}

async function hashed(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A UUID made from a text: the same file for the same run on the same recording. */
async function identified(text: string): Promise<string> {
  const hex = (await hashed(text)).slice(0, 32);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}
