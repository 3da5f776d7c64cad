/** What only the ROIs of a recording together show: `nwb_cascade.core.population`. */

import type { Finding } from "./rules";
import { withoutLine } from "./slow";

export interface RoiFinding extends Finding {
  roi: number;
}

export class Population {
  private at: number[];
  private bin = 0;
  private nBins = 0;
  private rois: number[] = [];
  private changes: Float32Array[] = [];
  private slow: Float32Array[] = [];

  constructor(private nFrames: number, imagingRate: number) {
    const last = Math.max(nFrames - 2, 0);
    const places = Array.from({ length: 256 }, (_, i) => (i === 255 ? last : Math.floor(i * (last / 255))));
    this.at = [...new Set(places)];
    const nBins = Math.min(256, Math.trunc(nFrames / imagingRate));
    if (nBins < 60) return;
    this.bin = Math.floor(nFrames / nBins);
    this.nBins = nBins;
  }

  add(roi: number, trace: Float32Array): void {
    if (this.nFrames < 2) return;
    const changes = standard(this.at.map((t) => trace[t + 1] - trace[t]));
    if (!changes.some((value) => value !== 0)) return;
    this.rois.push(roi);
    this.changes.push(changes);
    const bins = Array.from({ length: this.nBins }, (_, i) => {
      let sum = 0;
      for (let t = i * this.bin; t < (i + 1) * this.bin; t++) sum += Number.isNaN(trace[t]) ? 0 : trace[t];
      return sum / this.bin;
    });
    this.slow.push(this.nBins ? standard(withoutLine(bins)) : new Float32Array());
  }

  warnings(): RoiFinding[] {
    return [...this.repeats(), ...this.shared()];
  }

  private repeats(): RoiFinding[] {
    const found: RoiFinding[] = [];
    for (let second = 1; second < this.rois.length; second++) {
      let [nearest, most] = [-1, -Infinity];
      for (let first = Math.max(second - 10_000, 0); first < second; first++) {
        const alike = product(this.changes[first], this.changes[second]);
        if (alike > most) [nearest, most] = [first, alike];
      }
      if (most <= 0.9) continue;
      const message = `its frame-to-frame changes are those of ROI ${this.rois[nearest]} (correlation ${most.toFixed(2)}): the same cell twice?`;
      found.push({ roi: this.rois[second], code: "repeats", message });
    }
    return found;
  }

  private shared(): RoiFinding[] {
    if (this.rois.length < 10 || !this.nBins) return [];
    const total = new Float64Array(this.nBins);
    for (const own of this.slow) own.forEach((value, i) => (total[i] += value));
    return this.rois.flatMap((roi, at) => {
      const own = this.slow[at];
      const others = total.map((value, i) => value - own[i]);
      const length = Math.sqrt(product(others, others));
      const share = length > 0 ? product(own, others) / length : 0;
      if (!(share > 0 && share ** 2 > 0.5)) return [];
      const message =
        `${(100 * share ** 2).toFixed(0)} % of its variance (bins of a second or more) is the mean of all other ROIs: ` +
        "neuropil, motion or light that was not corrected?";
      return [{ roi, code: "shared-signal", message }];
    });
  }
}

function product(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Values of mean 0 and length 1; what is not known, or does not change, is 0. */
function standard(values: number[]): Float32Array {
  const known = values.filter(Number.isFinite);
  const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(known.length, 1);
  const centred = values.map((value) => (Number.isFinite(value) ? value - mean : 0));
  const length = Math.sqrt(product(centred, centred));
  return Float32Array.from(centred, (value) => (length > 0 ? value / length : 0));
}
