// How values are distributed over the rows: histograms, and the counts of all rows with their intervals.
// Round numbers of a logarithmic axis: more of each decade where there are few decades.
function logTicks(edges) {
  const digits = edges[edges.length - 1] > 20 * edges[0] ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
  return [-4, -3, -2, -1, 0, 1, 2, 3].flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)));
}

// Bars that answer the mouse and, in focus, the keyboard: one of them is told in words, its rows can be listed.
class Histogram {
  constructor(facts, column, list) {
    Object.assign(this, { facts, column, list, chart: element(facts.element), note: element(`${facts.element}-note`) });
    const last = facts.edges.length - 2;
    listenForArrows(this.chart, {
      ArrowLeft: () => this.tell(this.at === undefined ? last : Math.max(0, this.at - 1)),
      ArrowRight: () => this.tell(this.at === undefined ? 0 : Math.min(last, this.at + 1)),
      Home: () => this.tell(0), End: () => this.tell(last), Enter: () => this.show(),
    });
    this.chart.on("plotly_click", (event) => { this.tell(event.points[0].pointIndex); this.show(); });
  }

  count(bin) {
    return this.facts.bars.reduce((sum, { counts }) => sum + counts[bin], 0);
  }

  tell(bin) {
    const { edges, counted } = this.facts, ends = [edges[bin], edges[bin + 1]].map((end) => Number(end.toPrecision(3)));
    this.at = bin;
    this.note.textContent = `${this.count(bin)} ${counted} between ${ends[0]} and ${ends[1]}` + (this.column ? "; Enter lists them in the table." : ".");
    this.chart.dataset.bin = bin;
    this.facts.bars.forEach((_, i) => Plotly.restyle(this.chart, { "marker.line.color": [edges.slice(1).map((_, b) => (b === bin ? DARK : "#fff"))],
      "marker.line.width": [edges.slice(1).map((_, b) => (b === bin ? 2.5 : 1))] }, [i]));
  }

  // The rows of a bin: its lower end belongs to it, of the last one the upper end too.
  show() {
    if (this.at === undefined || !this.column) return;
    const { edges } = this.facts, last = edges.length - 2, slack = 1e-5;
    const within = (value) => value >= edges[this.at] * (1 - slack) && (value < edges[this.at + 1] * (1 - slack) || (this.at === last && value <= edges[last + 1] * (1 + slack)));
    this.list(this.column.values.flatMap((value, row) => (value !== null && within(value) ? [row] : [])));
  }
}

function drawHistogram({ element: id, title, counted, edges, bars, lines, is_log }) {
  const styles = [{ color: BLUE, pattern: { shape: "" } }, { color: VERMILLION, pattern: { shape: "/", fillmode: "overlay", fgcolor: "#fff" } }];
  const middles = edges.slice(1).map((end, i) => (edges[i] + end) / 2), widths = edges.slice(1).map((end, i) => end - edges[i]);
  return Plotly.newPlot(element(id), bars.map(({ name, counts }, i) => ({
    type: "bar", name, showlegend: name !== "" && counts.some((count) => count > 0), x: middles, y: counts, width: widths,
    marker: { ...styles[i], line: { color: "#fff", width: 1 } }, hovertemplate: `about %{x:.3g}: %{y} ${counted}<extra></extra>`,
  })), baseLayout({
    height: 320, barmode: "stack", legend: { orientation: "h", y: 1.15, traceorder: "normal" },
    shapes: lines.map((x) => ({ type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: "#666", width: 1, dash: "dot" } })),
    xaxis: { ...AXIS, title: { text: title }, ...(is_log ? { type: "log", tickvals: logTicks(edges) } : { rangemode: "tozero" }) },
    yaxis: { ...AXIS, title: { text: counted }, ...wholeTicks(Math.max(...middles.map((_, i) => bars.reduce((sum, { counts }) => sum + counts[i], 0)))) },
  }), CONFIG);
}

// The expected spikes of all rows in ascending order, with the interval of each where it is known.
class Counts {
  constructor(facts) {
    const values = (key) => (facts.columns.find((column) => column.key === key) || {}).values;
    const scaled = values("count"); // a calibrated gain scales counts, not the rates: dots and intervals speak of counts
    Object.assign(this, { ids: facts.rows.ids, expected: scaled || values("expected"), name: scaled ? "calibrated counts" : "expected spikes", least: values("at_least"), most: values("at_most"), chart: element("count-chart") });
    this.order = this.ids.map((_, i) => i).filter((i) => this.expected[i] !== null).sort((a, b) => this.expected[a] - this.expected[b]);
  }

  static async drawn(facts, onSelect) {
    const counts = new Counts(facts), { order, expected, least, most, ids, chart } = counts;
    const apart = (ends, sign) => order.map((i) => (ends[i] === null ? 0 : Math.max(0, sign * (ends[i] - expected[i]))));
    const told = (i) => `ROI ${ids[i]}: ${expected[i]} ${counts.name}` + (least && least[i] !== null ? `, between ${least[i]} and ${most[i]}` : "");
    await Plotly.newPlot(chart, [{
      type: "scatter", mode: "markers", x: order.map((_, place) => place + 1), y: order.map((i) => expected[i]), text: order.map(told),
      marker: { color: BLUE, size: 5 }, hovertemplate: "%{text}<extra>click to see its traces</extra>",
      ...(least ? { error_y: { type: "data", symmetric: false, array: apart(most, 1), arrayminus: apart(least, -1), color: "#56B4E9", thickness: 1.2, width: 0 } } : {}),
    }, { type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", marker: { symbol: "circle-open", size: 14, color: VERMILLION, line: { width: 3 } } }], baseLayout({
      height: 340, showlegend: false, xaxis: { ...AXIS, title: { text: "ROIs, in ascending order" }, ...wholeTicks(order.length) },
      yaxis: { ...AXIS, rangemode: "tozero", title: { text: least ? `${counts.name}<br>and their intervals` : counts.name } },
    }), CONFIG);
    counts.onSelect = onSelect;
    listenForArrows(chart, {
      ArrowLeft: () => counts.step(-1), ArrowRight: () => counts.step(1), Home: () => onSelect(order[0]), End: () => onSelect(order[order.length - 1]),
    });
    chart.on("plotly_click", (event) => { if (event.points[0].curveNumber === 0) onSelect(order[event.points[0].pointIndex]); });
    return counts;
  }

  step(by) {
    const next = this.order[this.order.indexOf(this.marked) + by];
    if (next !== undefined) this.onSelect(next);
  }

  mark(row) {
    this.marked = row;
    const place = this.order.indexOf(row), there = place >= 0;
    Plotly.restyle(this.chart, { x: [there ? [place + 1] : []], y: [there ? [this.expected[row]] : []] }, [1]);
  }
}
