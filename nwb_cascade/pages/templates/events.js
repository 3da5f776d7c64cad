// Rates around events: means of all ROIs as the page holds them, single trials of the selected ROI from its own trace.
// A name as plotly shows it: it takes some tags for its own.
const plain = (name) => name.replaceAll("<", "&lt;");

const NO_MEAN = 65535, COLOURS = [BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", DARK];

class EventView {
  constructor(facts, packed, browser) {
    Object.assign(this, { facts, packed, browser, single: element("event-chart"), all: element("event-population") });
    element("event-kind").addEventListener("change", (event) => this.show(Number(event.target.value)));
    element("event-split").addEventListener("change", () => this.mark(this.marked));
    element("raster-chart").addEventListener("ordered", () => this.drawAll());
    listenForArrows(this.all, { ArrowUp: () => this.step(-1), ArrowDown: () => this.step(1) });
  }

  static async drawn(facts, packed, browser, order) {
    const view = Object.assign(new EventView(facts, packed, browser), { order });
    view.marked = browser.current;
    await view.show(0);
    view.all.on("plotly_click", (event) => browser.select(view.order()[event.points[0].pointIndex[0]]));
    return view;
  }

  async show(kind) {
    const event = this.facts.events[kind], means = await typed(this.packed, event.means);
    this.times = Array.from(await typed(this.packed, event.times));
    this.means = rowsOf(means, this.facts.rows.ids.length, event.n_bins, (mean) => (mean === NO_MEAN ? null : mean * event.unit_hz));
    this.groups = new Map();
    for (const [name, group] of Object.entries(event.groups)) this.groups.set(name, { names: group.names, of: await typed(this.packed, group.of) });
    this.event = event;
    this.middles = Array.from({ length: event.n_bins }, (_, bin) => event.start_s + (bin + 0.5) * event.bin_s);
    element("event-split").replaceChildren(new Option("no column", ""), ...[...this.groups.keys()].map((name) => new Option(name, name)));
    element("event-split").parentElement.hidden = !this.groups.size;
    await this.drawAll();
    await this.mark(this.marked);
    this.single.dataset.kind = kind;
  }

  async drawAll() {
    const order = this.order(), z = order.map((roi) => this.means[roi]);
    const sorted = z.flat().filter((value) => value !== null).sort((a, b) => a - b);
    await Plotly.react(this.all, [{
      type: "heatmap", z, x: this.middles, y0: 0, dy: 1, customdata: order.map((roi) => Array(this.event.n_bins).fill(this.facts.rows.ids[roi])),
      colorscale: "Cividis", zmin: 0, zmax: sorted[Math.floor(0.995 * (sorted.length - 1))] || 1, hoverongaps: false,
      colorbar: { title: { text: "spikes/s", side: "right" }, thickness: 14 },
      hovertemplate: "ROI %{customdata}, %{x:.2f} s: %{z:.2f} spikes/s<extra>click to see its traces</extra>",
    }], baseLayout({ height: 460, margin: { l: 60, r: 20, t: 60, b: 50 }, title: { text: "every ROI, mean over all events", font: { size: 14 }, x: 0.02, xanchor: "left" }, shapes: [this.zero(), this.markRow()],
      xaxis: this.timeAxis(), yaxis: { ...AXIS, autorange: "reversed", title: { text: "ROIs in the order above" }, ...wholeTicks(order.length - 1) },
    }), CONFIG);
  }

  step(by) {
    const order = this.order(), next = order[order.indexOf(this.marked) + by];
    if (next !== undefined) this.browser.select(next);
  }

  // The selected row, beside the map.
  markRow() {
    const y = this.order().indexOf(this.marked);
    return { type: "line", xref: "paper", x0: 1.002, x1: 1.018, y0: y, y1: y, line: { color: VERMILLION, width: 5 } };
  }

  zero() {
    return { type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: VERMILLION, width: 1.5, dash: "dot" } };
  }

  timeAxis() {
    const { start_s, bin_s, n_bins } = this.event;
    return { ...AXIS, title: { text: "time after the event (s)" }, range: [start_s, start_s + n_bins * bin_s] };
  }

  // Mean rate per bin around every event, null where no frame has a value.
  trials(row, data) {
    const { bin_s, n_bins } = this.event, start = this.event.start_s - 1e-6 * bin_s, end = start + n_bins * bin_s;
    return this.times.map((time) => {
      const sums = new Float64Array(n_bins), counts = new Uint16Array(n_bins);
      for (let frame = Math.max(0, Math.floor(frameAt(row, time + start))); frame < row.nFrames; frame++) {
        const apart = timeAt(row, frame) - time, rate = data.rateLow[frame];
        if (apart >= end) break;
        const bin = Math.floor((apart - start) / bin_s);
        if (bin < 0 || bin >= n_bins || Number.isNaN(rate)) continue;
        sums[bin] += rate * rateAt(row, frame);
        counts[bin]++;
      }
      return Array.from(sums, (sum, bin) => (counts[bin] ? sum / counts[bin] : null));
    });
  }

  // Mean over trials, and its standard error.
  average(trials) {
    return this.middles.map((_, bin) => {
      const known = trials.map((trial) => trial[bin]).filter((value) => value !== null), n = known.length;
      if (!n) return { mean: null, error: 0 };
      const mean = known.reduce((sum, value) => sum + value, 0) / n;
      return { mean, error: n < 2 ? 0 : Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1) / n) };
    });
  }

  async mark(roi) {
    this.marked = roi;
    if (this.all.data) Plotly.relayout(this.all, { shapes: [this.zero(), this.markRow()] });
    const row = this.browser.row(roi), data = await this.browser.data(roi);
    if (roi !== this.marked) return;
    const isFull = data.framesPerStep === 1, trials = isFull ? this.trials(row, data) : [];
    const traces = isFull ? this.ofTrials(trials) : [{ x: this.middles, y: this.means[roi], type: "scatter", mode: "lines", yaxis: "y2", line: { color: BLUE }, name: "all events" }];
    await Plotly.react(this.single, traces, baseLayout({
      height: 460, margin: { l: 60, r: 20, t: 60, b: 50 }, title: { text: `ROI ${row.id}: mean ± standard error, single events`, font: { size: 14 }, x: 0.02, xanchor: "left" },
      showlegend: element("event-split").value !== "", legend: { x: 1, xanchor: "right", y: 1, bgcolor: "rgba(255,255,255,0.7)" }, shapes: [this.zero()],
      xaxis: { ...this.timeAxis(), anchor: isFull ? "y" : "y2" }, yaxis: { ...AXIS, domain: [0, 0.55], autorange: "reversed", title: { text: "events" }, ...wholeTicks(trials.length) },
      yaxis2: { ...AXIS, domain: isFull ? [0.6, 1] : [0, 1], title: { text: "spikes/s" }, rangemode: "tozero" },
    }), CONFIG);
    element("event-note").textContent = isFull ? `${trials.length} events.` :
      "Single events need every frame of an ROI; of this one the page holds fewer. Ask for it with --detail.";
    this.single.dataset.row = roi;
  }

  ofTrials(trials) {
    const group = this.groups.get(element("event-split").value);
    const parts = group ? group.names.map((name, g) => ({ name: plain(name), own: trials.filter((_, i) => group.of[i] === g) })) : [{ name: "all events", own: trials }];
    const traces = parts.flatMap(({ name, own }, g) => {
      const points = this.average(own), color = COLOURS[g % COLOURS.length], line = { x: this.middles, type: "scatter", mode: "lines", yaxis: "y2", legendgroup: name };
      const edge = { ...line, line: { width: 0, color }, hoverinfo: "skip", showlegend: false };
      return [
        { ...edge, y: points.map(({ mean, error }) => mean === null ? null : mean - error) },
        { ...edge, y: points.map(({ mean, error }) => mean === null ? null : mean + error), fill: "tonexty", fillcolor: `${color}40` },
        { ...line, y: points.map(({ mean }) => mean), name, line: { color }, hovertemplate: "%{x:.2f} s: %{y:.2f} spikes/s<extra></extra>" },
      ];
    });
    const ordered = parts.flatMap(({ own }) => own), sorted = ordered.flat().filter((value) => value !== null).sort((a, b) => a - b);
    traces.push({ type: "heatmap", z: ordered, x: this.middles, y0: 1, dy: 1, colorscale: "Cividis", zmin: 0, zmax: sorted[Math.floor(0.995 * (sorted.length - 1))] || 1,
      showscale: false, hoverongaps: false, hovertemplate: "event %{y}, %{x:.2f} s: %{z:.2f} spikes/s<extra></extra>" });
    return traces;
  }
}
