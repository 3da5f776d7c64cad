/** Numbers as the Python package counts and writes them: medians, percentiles, `g` formats. */

/** Median of values without NaN; NaN of none. The array is sorted in place. */
export function median(values: Float32Array | Float64Array): number {
  const n = values.length;
  if (!n) return NaN;
  values.sort();
  return n % 2 ? values[(n - 1) / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/** Percentile by linear interpolation, as `numpy.percentile`; the values are sorted already. */
export function percentile(sorted: ArrayLike<number>, percent: number): number {
  const at = ((sorted.length - 1) * percent) / 100;
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

export function finite(values: ArrayLike<number>): Float64Array {
  return Float64Array.from(Array.from(values).filter(Number.isFinite));
}

/** A number as Python's `f"{value:.{digits}g}"`. */
export function general(value: number, digits = 6): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  const trimmed = (text: string) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);
  if (exponent < -4 || exponent >= digits) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${trimmed(mantissa)}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  return trimmed(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

/** Round to the nearest whole number, halves to the even one, as Python does. */
export function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

export function clip(value: number, [low, high]: [number, number]): number {
  return Math.min(Math.max(value, low), high);
}

export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}

/** A number in so many significant digits, without the exponent that `general` gives to 112: `core.wording.rounded`. */
export function rounded(value: number, digits: number): string {
  return general(Number(value.toPrecision(digits)), 15);
}
