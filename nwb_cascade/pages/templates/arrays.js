// Reads what nwb_cascade.report.arrays wrote: typed arrays, deflated, as base64.
const TYPES = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };
const MISSING = { i1: -128, i2: -32768 };
const TICKS_PER_FRAME = 16;

const inflated = async (base64) => new Response(
  (await fetch(`data:;base64,${base64}`)).body.pipeThrough(new DecompressionStream("deflate")));

const inflatedText = async (base64) => (await inflated(base64)).text();

const typed = async (packed, [dtype, first, stop]) => new TYPES[dtype](await (await inflated(packed.slice(first, stop))).arrayBuffer());

// Multiples of a unit as numbers, NaN where there is no value; NaN throughout where nothing is stored.
async function inUnits(packed, stored, unit, n) {
  if (!stored) return new Float32Array(n).fill(NaN);
  const missing = MISSING[stored[0]];
  return Float32Array.from(await typed(packed, stored), (value) => (value === missing ? NaN : value * unit));
}

// Everything the page holds of one row: smallest and largest value of every step, spikes as counts or as times.
async function unpackRow(packed, stored, nSteps, framesPerStep, dffUnit, rateUnit) {
  const dffLow = await inUnits(packed, stored.dff_low, dffUnit, nSteps), rateLow = await inUnits(packed, stored.rate_low, rateUnit, nSteps);
  let tick = 0;
  return {
    nSteps, framesPerStep, dffLow, rateLow,
    dffHigh: stored.dff_high ? await inUnits(packed, stored.dff_high, dffUnit) : dffLow,
    rateHigh: stored.rate_high ? await inUnits(packed, stored.rate_high, rateUnit) : rateLow,
    deviation: await inUnits(packed, stored.deviation, rateUnit, nSteps),
    spikeCount: stored.spike_count ? await typed(packed, stored.spike_count) : new Uint8Array(nSteps),
    spikeFrames: stored.spike_ticks ? Float64Array.from(await typed(packed, stored.spike_ticks), (apart) => (tick += apart) / TICKS_PER_FRAME) : null,
  };
}
