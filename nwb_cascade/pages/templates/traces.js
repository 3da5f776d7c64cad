// The traces of one row between two times, at as many points as the screen has columns.
const DARK = "#333333", BLUE = "#0072B2", LIGHT_BLUE = "rgba(86,180,233,0.45)", VERMILLION = "#D55E00";
const MARKERS_BELOW = 250;
const MOST_SPIKE_MARKS = 2500;

// Three significant digits, without an exponent.
const rounded = (value) => String(Number(value.toPrecision(3)));

// Where a number lies between the ascending knots "from", as a number between those of "to".
function between(from, to, value) {
  let low = 0, high = from.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= value) low = middle; else high = middle;
  }
  if (from[high] === from[low]) return to[low];
  return to[low] + (Math.min(Math.max(value, from[0]), from[from.length - 1]) - from[low]) * (to[high] - to[low]) / (from[high] - from[low]);
}

// Time of a place between frames, and the other way round: evenly from the start, or between the knots of a clock.
const timeAt = (row, frame) => (row.knots ? between(row.knots[0], row.knots[1], frame) : row.start + frame / row.rate);
const frameAt = (row, time) => (row.knots ? between(row.knots[1], row.knots[0], time) : (time - row.start) * row.rate);

// Rate at which a frame was taken, Hz.
const rateAt = (row, frame) => (row.rates ? row.rates.findLast(([first]) => first <= frame)[1] : row.rate);

// Whether frames are missing between two, so that no line leads from one to the other.
const isApart = (row, frame, next) => row.knots && row.knots[2].some((first) => first > frame && first <= next);

function windowOf(row, data, range, nColumns) {
  const first = Math.max(0, Math.floor(frameAt(row, range[0]) / data.framesPerStep) - 1);
  const stop = Math.min(data.nSteps, Math.ceil(frameAt(row, range[1]) / data.framesPerStep) + 2);
  const merged = Math.max(1, Math.ceil((stop - first) / nColumns));
  return { first: Math.floor(first / merged) * merged, stop: Math.max(first, stop), merged };
}

// Points of an envelope: a line through every value where a column is one frame, else smallest and largest per column.
function envelopePoints(low, high, view, row, framesPerStep) {
  const x = [], y = [];
  const everyFrame = framesPerStep === 1 && view.merged === 1;
  for (let step = view.first; step < view.stop; step += view.merged) {
    const last = Math.min(step + view.merged, low.length);
    let least = Infinity, most = -Infinity;
    for (let i = step; i < last; i++) {
      if (low[i] < least) least = low[i];
      if (high[i] > most) most = high[i];
    }
    const time = timeOf(row, framesPerStep, step, last);
    if (step > view.first && isApart(row, (step - 1) * framesPerStep, step * framesPerStep)) { x.push(time); y.push(null); }
    if (most < least) { x.push(time); y.push(null); continue; }
    x.push(time); y.push(least);
    if (!everyFrame) { x.push(time); y.push(most); }
  }
  return { x, y };
}

// Time of the middle of the frames that steps [step, last) cover.
function timeOf(row, framesPerStep, step, last) {
  const firstFrame = step * framesPerStep, lastFrame = Math.min(last * framesPerStep, row.nFrames) - 1;
  return timeAt(row, (firstFrame + lastFrame) / 2);
}

// The rate less and plus the deviation, widest per column, as one closed outline.
function bandPoints(data, view, row) {
  const x = [], lower = [], upper = [];
  for (let step = view.first; step < view.stop; step += view.merged) {
    const last = Math.min(step + view.merged, data.nSteps);
    let least = Infinity, most = -Infinity;
    for (let i = step; i < last; i++) {
      if (Number.isNaN(data.deviation[i])) continue;
      least = Math.min(least, data.rateLow[i] - data.deviation[i]);
      most = Math.max(most, data.rateHigh[i] + data.deviation[i]);
    }
    const there = most >= least;
    x.push(timeOf(row, data.framesPerStep, step, last));
    lower.push(there ? least : null); upper.push(there ? most : null);
  }
  return { x, lower, upper };
}

function spikePoints(data, view, row) {
  if (data.spikeFrames && view.merged * data.framesPerStep < 8) {
    const times = Array.from(data.spikeFrames, (frame) => timeAt(row, frame));
    const from = timeOf(row, data.framesPerStep, view.first, view.first + 1);
    const to = timeOf(row, data.framesPerStep, view.stop - 1, view.stop);
    const x = times.filter((time) => time >= from - 1 && time <= to + 1);
    if (x.length <= MOST_SPIKE_MARKS) return { x, text: x.map((time) => `spike at ${time.toFixed(3)} s`) };
  }
  const x = [], text = [];
  for (let step = view.first; step < view.stop; step += view.merged) {
    const last = Math.min(step + view.merged, data.nSteps);
    let count = 0;
    for (let i = step; i < last; i++) count += data.spikeCount[i];
    if (!count) continue;
    x.push(timeOf(row, data.framesPerStep, step, last));
    text.push(`${count} ${count === 1 ? "spike" : "spikes"} in ${rounded(view.merged * data.framesPerStep / row.rate)} s`);
  }
  return { x, text };
}

function tracesOf(row, data, view, has, names) {
  const every = data.framesPerStep === 1 && view.merged === 1;
  const mode = every && view.stop - view.first < MARKERS_BELOW ? "lines+markers" : "lines";
  const line = (points, axis, color, name, template) => ({
    ...points, type: "scatter", mode, yaxis: axis, name, connectgaps: false, line: { color, width: 1.2 },
    marker: { size: 4, color }, hovertemplate: template,
  });
  const found = [];
  if (has.dff) {
    const points = envelopePoints(data.dffLow, data.dffHigh, view, row, data.framesPerStep);
    found.push(line(points, "y", DARK, "dF/F", "%{x:.3f} s: dF/F %{y:.3f}<extra></extra>"));
  }
  if (has.deviation) {
    const band = bandPoints(data, view, row);
    const edge = { type: "scatter", mode: "lines", yaxis: "y2", line: { width: 0, color: LIGHT_BLUE }, hoverinfo: "skip" };
    found.push({ ...edge, x: band.x, y: band.lower, name: "less the deviation", showlegend: false });
    found.push({ ...edge, x: band.x, y: band.upper, name: "± deviation of the ensemble", fill: "tonexty", fillcolor: LIGHT_BLUE });
  }
  if (has.rate) {
    const points = envelopePoints(data.rateLow, data.rateHigh, view, row, data.framesPerStep);
    found.push(line(points, "y2", BLUE, names.rate, "%{x:.3f} s: %{y:.3f}<extra></extra>"));
  }
  if (has.spikes) {
    const points = spikePoints(data, view, row);
    found.push({
      x: points.x, y: points.x.map(() => 0), text: points.text, type: "scatter", mode: "markers", yaxis: "y3", name: names.spikes,
      marker: { symbol: "line-ns", size: 16, line: { color: VERMILLION, width: 1.5 } }, hovertemplate: "%{text}<extra></extra>",
    });
  }
  return found;
}

function limits(low, high, spread) {
  let least = Infinity, most = -Infinity;
  for (let i = 0; i < low.length; i++) {
    const extra = spread && spread[i] > 0 ? spread[i] : 0;
    if (low[i] < least) least = low[i];
    if (high[i] + extra > most) most = high[i] + extra;
  }
  if (most < least) return [0, 1];
  const margin = 0.05 * (most - least) || 0.1;
  return [least - margin, most + margin];
}

// What one column of the screen shows, in words, and whether the page holds more.
function shownText(row, data, view) {
  const frames = view.merged * data.framesPerStep;
  const shown = frames === 1 ? "Shown: every frame." :
    `Shown: smallest and largest value of every ${frames} frames (${rounded(frames / row.rate)} s).`;
  if (data.framesPerStep === 1) return frames === 1 ? shown : `${shown} Zoom in to see every frame.`;
  const more = view.merged > 1 ? " Zoom in for more." : " Zooming in shows nothing finer.";
  return `${shown} To keep this page small, of this trace it holds ${data.framesPerStep} frames per step;${more}`;
}
