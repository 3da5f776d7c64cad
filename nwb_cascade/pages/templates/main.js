// Puts the page together: decodes what it carries, draws, answers mouse and keyboard.
class Browser {
  constructor(facts, packed) {
    this.facts = facts;
    this.packed = packed;
    this.kept = new Map();
    this.pictures = []; // of all rows: each marks the selected one
    this.table = new RowTable(facts, (row) => this.select(row));
    this.listen();
  }

  row(index) {
    const { ids, n_frames, rate, start, knots, rates } = this.facts.rows;
    return { id: ids[index], nFrames: n_frames[index], rate: rate[index], start: start[index], knots, rates };
  }

  async data(index) {
    if (this.kept.has(index)) return this.kept.get(index);
    const { arrays, frames_per_step, n_frames, dff_unit, rate_unit } = this.facts.rows;
    const framesPerStep = frames_per_step[index], nSteps = Math.ceil(n_frames[index] / framesPerStep);
    const data = await unpackRow(this.packed, arrays[index], nSteps, framesPerStep, dff_unit[index], rate_unit[index]);
    if (this.kept.size > 8) this.kept.delete(this.kept.keys().next().value);
    this.kept.set(index, data);
    return data;
  }

  whole(row) {
    const half = 0.5 / row.rate;
    return [timeAt(row, 0) - half, timeAt(row, row.nFrames - 1) + half];
  }

  async select(index) {
    const before = this.current === undefined ? null : this.row(this.current);
    const data = await this.data(index);
    const row = this.row(index);
    this.current = index;
    this.currentData = data;
    // A time that was zoomed to stays in sight where all rows are of one recording.
    const keeps = before && this.facts.one_clock && this.range;
    if (!keeps) this.range = this.whole(row);
    this.yRanges = [limits(data.dffLow, data.dffHigh), limits(data.rateLow, data.rateHigh, data.deviation)];
    element("pick").value = row.id;
    const more = this.facts.columns.slice(1).filter((column) => column.values[index] !== null && column.values[index] !== "");
    element("selected").textContent = `${this.facts.rows.name} ${row.id}: ` +
      more.map((column) => `${column.label} ${cellText(column, index)}`).join(" · ");
    this.table.select(index);
    this.pictures.forEach((picture) => picture.mark(index));
    await this.draw();
  }

  async draw() {
    const chart = element("traces"), row = this.row(this.current), data = this.currentData;
    const view = windowOf(row, data, this.range, Math.max(200, chart.clientWidth - 90));
    const traces = tracesOf(row, data, view, this.facts.has, this.facts.names);
    await Plotly.react(chart, traces, this.layout(), { ...CONFIG, scrollZoom: false });
    element("shown").textContent = shownText(row, data, view);
    chart.dataset.row = this.current;
    chart.dataset.framesPerColumn = view.merged * data.framesPerStep;
    if (!this.listens) {
      chart.on("plotly_relayout", (change) => this.onRelayout(change));
      this.listens = true;
    }
  }

  layout() {
    const { has, names } = this.facts, spikes = has.spikes ? 0.12 : 0;
    const split = has.dff && has.rate ? spikes + (1 - spikes) / 2 : has.rate ? 1.0 : spikes;
    const layout = baseLayout({
      height: 540, showlegend: true, legend: { orientation: "h", y: 1.08, x: 0, traceorder: "normal" }, margin: { l: 70, r: 20, t: 40, b: 50 },
      xaxis: { ...AXIS, range: this.range, title: { text: "time (s)" }, anchor: has.spikes ? "y3" : has.rate ? "y2" : "y" },
    });
    if (has.dff) layout.yaxis = { ...AXIS, domain: [split + 0.02, 1], range: this.yRanges[0], title: { text: "dF/F" } };
    if (has.rate) layout.yaxis2 = { ...AXIS, domain: [spikes + 0.02, split - 0.02], range: this.yRanges[1], title: { text: names.rate_axis } };
    if (has.spikes) layout.yaxis3 = { ...AXIS, domain: [0, spikes - 0.02], range: [-1, 1], showticklabels: false, ticks: "",
      showgrid: false, fixedrange: true, title: { text: "spikes" } };
    return layout;
  }

  onRelayout(change) {
    const range = (axis) => change[`${axis}.range`] || (change[`${axis}.range[0]`] !== undefined
      ? [change[`${axis}.range[0]`], change[`${axis}.range[1]`]] : null);
    if (change["xaxis.autorange"]) this.range = this.whole(this.row(this.current));
    else if (range("xaxis")) this.range = range("xaxis").map(Number);
    ["yaxis", "yaxis2"].forEach((axis, i) => { if (range(axis)) this.yRanges[i] = range(axis).map(Number); });
    if (change["yaxis.autorange"] || change["yaxis2.autorange"]) {
      const data = this.currentData;
      this.yRanges = [limits(data.dffLow, data.dffHigh), limits(data.rateLow, data.rateHigh, data.deviation)];
    }
    if (change["xaxis.autorange"] || range("xaxis") || change["yaxis.autorange"]) this.draw();
  }

  // Show the window whose width is scaled and whose middle is moved by a share of it, within the recording.
  move(scale, share) {
    const row = this.row(this.current), whole = this.whole(row), width = this.range[1] - this.range[0];
    const wanted = Math.min(whole[1] - whole[0], Math.max(4 / row.rate, width * scale));
    const middle = (this.range[0] + this.range[1]) / 2 + share * width;
    const first = Math.min(Math.max(middle - wanted / 2, whole[0]), whole[1] - wanted);
    this.range = [first, first + wanted];
    return this.draw();
  }

  showAll() {
    this.range = this.whole(this.row(this.current));
    return this.draw();
  }

  step(by) {
    const next = this.table.neighbour(by);
    if (next !== undefined && next !== this.current) return this.select(next);
    return null;
  }

  pick(text) {
    const wanted = text.trim(), index = this.facts.rows.ids.findIndex((id) => String(id) === wanted);
    if (index >= 0) this.select(index);
    else element("selected").textContent = `There is no ${this.facts.rows.name} ${wanted}.`;
  }

  // Show only some rows in the table, and go there.
  list(rows) {
    this.table.showOnly(rows);
    element("filter").scrollIntoView({ block: "start" });
    element("filter").focus();
  }

  listen() {
    const actions = {
      previous: () => this.step(-1), next: () => this.step(1), "zoom-in": () => this.move(0.5, 0), "zoom-out": () => this.move(2, 0),
      earlier: () => this.move(1, -0.25), later: () => this.move(1, 0.25), whole: () => this.showAll(),
    };
    for (const [id, action] of Object.entries(actions)) element(id).addEventListener("click", action);
    element("pick").addEventListener("change", (event) => this.pick(event.target.value));
    const keys = { ArrowLeft: "earlier", ArrowRight: "later", ArrowUp: "previous", ArrowDown: "next", "+": "zoom-in", "=": "zoom-in",
      "-": "zoom-out", "0": "whole" };
    listenForArrows(element("traces"), Object.fromEntries(Object.entries(keys).map(([key, name]) => [key, actions[name]])));
    document.querySelectorAll("button[data-rois]").forEach((button) => button.addEventListener("click", () => this.list(JSON.parse(button.dataset.rois))));
    // Charts are drawn for a screen; on paper they would be cut off.
    for (const [moment, size] of [["beforeprint", { width: 900, autosize: false }], ["afterprint", { width: null, autosize: true }]]) {
      window.addEventListener(moment, () => document.querySelectorAll(".chart").forEach((chart) => {
        if (chart.data) Plotly.relayout(chart, size);
      }));
    }
  }
}

function runScript(text) {
  const script = document.createElement("script");
  script.textContent = text;
  document.head.append(script);
}

async function start() {
  runScript(await inflatedText(element("library").textContent));
  const facts = JSON.parse(await inflatedText(element("facts").textContent));
  const packed = element("packed").textContent;
  const browser = new Browser(facts, packed);
  await browser.select(facts.first_row);
  for (const histogram of facts.histograms) {
    await drawHistogram(histogram);
    new Histogram(histogram, facts.columns.find((column) => column.key === histogram.column), (rows) => browser.list(rows));
  }
  drawExamples(facts.examples);
  const select = (row) => browser.select(row);
  const raster = facts.raster && await Raster.drawn(facts, packed, select);
  if (raster) browser.pictures.push(raster);
  if (element("count-chart")) browser.pictures.push(await Counts.drawn(facts, select));
  if (facts.map) browser.pictures.push(await PlaneMap.drawn(facts, packed, select));
  if (facts.events && facts.events.length) browser.pictures.push(await EventView.drawn(facts, packed, browser, () => raster.order));
  browser.pictures.forEach((picture) => picture.mark(browser.current));
  document.body.dataset.ready = "yes";
}

start().catch((error) => {
  const told = element("failure");
  const old = typeof DecompressionStream === "undefined";
  told.textContent = old ? "The charts need a browser of 2023 or later." : `The charts could not be drawn: ${error.message}`;
  told.hidden = false;
  if (!old) throw error;
});
