// Reads what nwb_cascade.report.packing wrote.
const MISSING = -32768;
const TICKS_PER_FRAME = 16;
const N_PLANES = 6;

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflated(base64) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const inflatedText = async (base64) => new TextDecoder().decode(await inflated(base64));

// One plane of numbers: the low bytes of all steps, then their high bytes; signed ones in zigzag order.
function plane(bytes, index, nSteps, signed) {
  const values = new Int32Array(nSteps);
  const low = 2 * index * nSteps;
  for (let i = 0; i < nSteps; i++) {
    const value = bytes[low + i] | (bytes[low + nSteps + i] << 8);
    values[i] = signed ? (value >> 1) ^ -(value & 1) : value;
  }
  return values;
}

function spikeFrames(bytes, first) {
  const n = (bytes.length - first) / 4;
  const frames = new Float64Array(n);
  let tick = 0;
  for (let i = 0; i < n; i++) {
    const at = first + i;
    tick += bytes[at] + bytes[at + n] * 256 + bytes[at + 2 * n] * 65536 + bytes[at + 3 * n] * 16777216;
    frames[i] = tick / TICKS_PER_FRAME;
  }
  return frames;
}

function inUnits(values, unit, present) {
  const scaled = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) scaled[i] = present[i] === MISSING ? NaN : values[i] * unit;
  return scaled;
}

const plus = (a, b) => a.map((value, i) => value + b[i]);

// Everything the page holds of one row: smallest and largest value of every step, spikes as counts or as times.
function unpackRow(bytes, nSteps, framesPerStep, dffUnit, rateUnit) {
  const part = (index, signed) => plane(bytes, index, nSteps, signed);
  const dff = part(0, true), rate = part(2, true), deviation = part(4, true);
  return {
    nSteps, framesPerStep,
    dffLow: inUnits(dff, dffUnit, dff), dffHigh: inUnits(plus(dff, part(1, false)), dffUnit, dff),
    rateLow: inUnits(rate, rateUnit, rate), rateHigh: inUnits(plus(rate, part(3, false)), rateUnit, rate),
    deviation: inUnits(deviation, rateUnit, deviation),
    spikeCount: part(5, false),
    spikeFrames: framesPerStep === 1 ? spikeFrames(bytes, 2 * N_PLANES * nSteps) : null,
  };
}
