/** The spike count of a whole recording with its interval: `nwb_cascade.core.count_model`. */

import betainc from "@stdlib/math-base-special-betainc";
import { clip, roundHalfEven } from "./numbers";

interface CountModel {
  kind: "met" | "unmet";
  mean: number[];
  spread: number[];
  cell_sd: number;
  preparation_sd: number;
}

/** Distributions of counts, by class, and the constants of the module. */
export interface CountFacts {
  met: CountModel;
  unmet: CountModel;
  unmet_interneuron: CountModel;
  met_indicators: string[];
  level: number;
  rate_floor: number;
  noise_centre: number;
  noise_range: [number, number];
  noise_step: number;
  window_range_s: [number, number];
  least_spread: number;
  expected_bits: number;
  nodes: number[];
  node_weights: number[];
}

export interface Interval {
  expected: number;
  seconds: number;
  lower: number;
  upper: number;
}

/** The distribution of counts: `core.spike_counts.find_count_model`. */
export function countModel(indicator: string | null, facts: CountFacts): CountModel {
  if (facts.met_indicators.includes(indicator ?? "")) return facts.met;
  return indicator?.includes("interneuron") ? facts.unmet_interneuron : facts.unmet;
}

/** Sum of a ROI's rates over the frames that have one, the seconds of these, and between which counts the truth lies. */
export function wholeCount(rates: Float32Array, frameRates: Float64Array, noiseLevel: number, indicator: string | null, facts: CountFacts): Interval {
  let [sum, seconds] = [0, 0];
  rates.forEach((value, t) => {
    if (Number.isNaN(value)) return;
    sum += value;
    seconds += 1 / frameRates[t];
  });
  if (!seconds) return { expected: NaN, seconds, lower: NaN, upper: NaN };
  sum = Math.max(sum, 0);
  const below = cumulative(rounded(sum, facts.expected_bits), seconds, noiseLevel, countModel(indicator, facts), facts);
  const [lower, upper] = [(1 - facts.level) / 2, (1 + facts.level) / 2].map((probability) => quantile(below, probability));
  return { expected: sum, seconds, lower, upper };
}

/** Probability of at most n spikes. */
function cumulative(expected: number, seconds: number, noiseLevel: number, model: CountModel, facts: CountFacts): (n: number) => number {
  const level = Math.log(clip(Number.isFinite(noiseLevel) ? noiseLevel : facts.noise_centre, facts.noise_range));
  const nearest = Math.exp(roundHalfEven(level / facts.noise_step) * facts.noise_step);
  const noise = Math.log(clip(nearest, facts.noise_range) / facts.noise_centre);
  const rate = Math.log(expected / seconds + facts.rate_floor);
  const mean = seconds * Math.exp(rate + model.mean[0] + model.mean[1] * rate + model.mean[2] * noise);
  const features = [1, rate, rate ** 2, noise, Math.log(clip(seconds, facts.window_range_s))];
  const exponent = features.reduce((total, feature, i) => total + feature * model.spread[i], 0);
  const spread = facts.least_spread + Math.exp(clip(exponent, [-20, 6]));
  const means = facts.nodes.map((node) => mean * Math.exp(Math.hypot(model.cell_sd, model.preparation_sd) * node));
  return (n) =>
    n < 0 ? 0 : means.reduce((total, one, i) => total + facts.node_weights[i] * betainc(1 / (1 + spread * one), 1 / spread, n + 1), 0);
}

/** The least count that is reached with at least this probability. */
function quantile(below: (n: number) => number, probability: number): number {
  let [low, high] = [-1, 1];
  while (below(high) < probability) high *= 4;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (below(middle) >= probability) high = middle;
    else low = middle;
  }
  return high;
}

/** A number with so many bits behind the first one, halves to the even neighbour: `core.precision.rounded`. */
function rounded(value: number, bits: number): number {
  if (!(value > 0)) return value;
  const unit = 2 ** (Math.floor(Math.log2(value)) - bits);
  return roundHalfEven(value / unit) * unit;
}
