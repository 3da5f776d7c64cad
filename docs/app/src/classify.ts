/** What a series holds and on which scale: `nwb_cascade.nwb.classify`, kept alike by `tests/vectors.json`. */

import { finite, general, median, percentile } from "./numbers";
import { noiseLevel } from "./rules";

const EDGE = "(?<![a-z])";
const END = "(?![a-z])";
const DFF = `(d|delta|δ|∆)[\\s_-]*f[\\s_-]*(/|over|div(ided)?[\\s_-]*by|by|o)?[\\s_-]*f(0|s)?${END}`;
const CORRECTED = "[\\s_-]*(corrected|correction|subtracted|subtraction|removed|decontaminated)";
const WORDS: [string, string][] = [
  ["events", "(ca)?events?|deconv\\w*|spks?|spikes?|spiking|firing"],
  ["z_scored", "z[\\s_-]*scor\\w*"],
  ["neuropil", "neuropil\\w*|npil|fneu|background\\w*|surround\\w*"],
  ["baseline", "baselines?|^f[\\s_-]?0"],
  ["denoised", "denois\\w*"],
  ["dff", `${DFF}|\\(?f[\\s_]*-[\\s_]*f[\\s_]?0\\)?[\\s_]*/[\\s_]*f[\\s_]?0`],
  ["raw_fluorescence", "fluorescence|fluo|raw|corrected|demixed|(?<!d )f(?=[\\s_-]*(chn|corrected|raw|\\d|$))"],
];
const PATTERNS = WORDS.map(([kind, words]) => [kind, new RegExp(`${EDGE}(?:${words})${END}`)] as const);
const SUBTRACTED = new RegExp(`${EDGE}(neuropil\\w*|background|baseline|surround)${CORRECTED}`, "g");
const CAMEL = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g;
const PERCENT_UNIT = /%|\b(per ?cent|pct)\b/i;

export interface Evidence {
  type: string;
  name: string;
  description: string;
  unit: string;
  ancestors: { name: string; type: string }[];
  siblings: string[];
}

export interface Judgement {
  kind: string;
  why: string;
  certain: boolean;
}

export function kindsOfWords(text: string): string[] {
  const words = text.replace(CAMEL, " ").toLowerCase();
  const plain = words.replace(SUBTRACTED, " ");
  const kinds = PATTERNS.filter(([, pattern]) => pattern.test(plain)).map(([kind]) => kind);
  return kinds.length ? kinds : plain !== words ? ["raw_fluorescence"] : [];
}

/** A text as Python's `repr` quotes it. */
function quoted(text: string): string {
  return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

export function classify(evidence: Evidence): Judgement {
  const judged = (kind: string, why: string, certain = true): Judgement => ({ kind, why, certain });
  if (evidence.type === "InferredSpikeRateSeries") return judged("inferred", `its type is ${evidence.type}`);
  if (evidence.type === "OphysEventDetection") return judged("events", `its type is ${evidence.type}`);
  const [named] = kindsOfWords(evidence.name);
  if (named) return judged(named, `it is named ${quoted(evidence.name)}`);
  const background = "Background_Fluorescence_Response";
  if (evidence.siblings.includes(background))
    return judged("denoised", `CaImAn stores its denoised component C beside '${background}'`);
  const [container] = evidence.ancestors;
  const [contained] = container && container.name !== "Fluorescence" ? kindsOfWords(container.name) : [];
  if (contained) return judged(contained, `its container is named ${quoted(container.name)}`);
  let described = kindsOfWords(evidence.description);
  if (described.includes("dff") && described.every((kind) => ["dff", "raw_fluorescence", "baseline"].includes(kind)))
    described = ["dff"];
  if (described.length === 1)
    return judged(described[0], `its description is ${quoted(evidence.description)}`, described[0] !== "raw_fluorescence");
  if (kindsOfWords(evidence.unit)[0] === "dff") return judged("dff", `its unit is ${quoted(evidence.unit)}`);
  if (container?.type === "DfOverF") return judged("dff", "it lies in a DfOverF container");
  for (const { name } of evidence.ancestors.slice(1)) {
    const [kind] = kindsOfWords(name);
    if (kind) return judged(kind, `it lies in ${quoted(name)}`);
  }
  if (container?.type === "Fluorescence")
    return judged("raw_fluorescence", "it lies in a Fluorescence container, nothing says more", false);
  return judged("unknown", "no name, container or description says what it holds", false);
}

export interface Scale {
  scale: "fraction" | "percent" | "counts" | "unknown";
  why: string;
  stated: boolean;
}

/** `Sample.of` and `judge_scale` over a look at some traces. */
export function judgeScale(traces: Float32Array[], imagingRate: number | null, unit: string): Scale {
  const sample = sampled(traces, imagingRate);
  const [looks, seen] = sample ? looksLike(sample) : (["fraction", "no sampled trace has values that differ"] as const);
  if (!PERCENT_UNIT.test(unit)) return { scale: looks, why: seen, stated: false };
  if (!sample || looks === "percent" || (looks === "fraction" && sample.noise > 30))
    return { scale: "percent", why: `the unit is ${quoted(unit)}`, stated: true };
  return { scale: "unknown", why: `the unit is ${quoted(unit)}, but ${seen}`, stated: false };
}

interface Sample {
  median: number;
  low: number;
  rise: number;
  noise: number;
}

function sampled(traces: Float32Array[], imagingRate: number | null): Sample | null {
  const rows = traces
    .map((trace) => ({ values: finite(trace), sorted: finite(trace).sort() }))
    .filter(({ sorted }) => sorted.length > 1 && sorted[0] < sorted[sorted.length - 1]);
  if (!rows.length) return null;
  const over = (read: (row: (typeof rows)[0]) => number) => median(Float64Array.from(rows, read));
  return {
    median: over(({ sorted }) => percentile(sorted, 50)),
    low: over(({ sorted }) => percentile(sorted, 1)),
    rise: over(({ sorted }) => percentile(sorted, 99.5) - percentile(sorted, 50)),
    noise: over(({ values }) => noiseLevel(Float32Array.from(values), imagingRate ?? 30)),
  };
}

function looksLike(sample: Sample): [Scale["scale"], string] {
  const { median: rest, low, rise, noise } = sample;
  const values = `traces rest near ${general(rest, 3)} and rise by ${general(rise, 3)}`;
  if (Math.abs(rest) > 200 || (rest > 20 && low > 0.2 * rest)) return ["counts", `${values}, as raw fluorescence does`];
  if (rise > 20) return ["percent", `${values}, too much for a fraction`];
  if (noise > 50)
    return ["percent", `${values}, and the noise level would be ${general(noise, 3)} % Hz^-1/2 if they were fractions`];
  return ["fraction", values];
}

export function reconcile(judgement: Judgement, scale: Scale): Judgement {
  const { kind, why, certain } = judgement;
  if (kind === "dff" && scale.scale === "counts") return { kind: "unknown", why: `${why}, but ${scale.why}`, certain: false };
  if (kind === "raw_fluorescence" && !certain && scale.scale === "fraction")
    return { kind: "unknown", why: `${why}, but ${scale.why}, as dF/F does`, certain: false };
  return judgement;
}
