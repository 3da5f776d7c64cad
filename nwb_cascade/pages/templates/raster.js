// The heat map of the population, in the order of the file or another.
const NO_SHADE = 255, MOST_NAMED = 4;

// Rows of a matrix that is stored flat.
const rowsOf = (flat, nRows, nColumns, valueOf) =>
  Array.from({ length: nRows }, (_, r) => Array.from(flat.subarray(r * nColumns, (r + 1) * nColumns), valueOf));

class Raster {
  constructor(facts, packed, onSelect) {
    Object.assign(this, { facts, packed, onSelect, raster: facts.raster, rows: facts.rows, chart: element("raster-chart"), of: "file" });
    element("raster-order").addEventListener("change", (event) => this.show(event.target.value));
    listenForArrows(this.chart, { ArrowUp: () => this.step(-1), ArrowDown: () => this.step(1) });
  }

  static async drawn(facts, packed, onSelect) {
    const raster = new Raster(facts, packed, onSelect);
    await raster.show("file");
    raster.chart.on("plotly_click", (event) => raster.onSelect(raster.busiest(event.points[0].pointIndex[0])));
    return raster;
  }

  async show(of) {
    const { raster, rows, packed } = this, byRow = raster.rois_per_row;
    const order = raster.orders[of] ? Array.from(await typed(packed, raster.orders[of])) : rows.ids.map((_, i) => i);
    const shades = await typed(packed, raster.shades[of] || raster.shades.file);
    let z = rowsOf(shades, raster.n_rows, raster.n_columns, (shade) => (shade === NO_SHADE ? null : (shade / 254) * raster.top_hz));
    if (!raster.shades[of]) z = order.map((roi) => z[roi]);
    Object.assign(this, { of, order, places: new Map(order.map((roi, place) => [roi, place])) });
    const x0 = rows.start[0] + raster.column_s / 2;
    await Plotly.react(this.chart, [{
      type: "heatmap", z, x0, dx: raster.column_s, y0: (byRow - 1) / 2, dy: byRow, customdata: z.map((row, r) => Array(row.length).fill(this.names(r))),
      colorscale: "Cividis", zmin: 0, zmax: raster.top_hz, hoverongaps: false,
      colorbar: { title: { text: "spikes/s", side: "right" }, thickness: 14 },
      hovertemplate: "%{x:.1f} s, %{customdata}: %{z:.2f} spikes/s<extra>click to see its traces</extra>",
    }], baseLayout({ height: 420, xaxis: { ...AXIS, title: { text: "time (s)" } }, yaxis: this.axis() }), CONFIG);
    this.chart.dataset.order = of;
    this.chart.dispatchEvent(new Event("ordered"));
    if (this.marked !== undefined) this.mark(this.marked);
  }

  axis() {
    const { name } = this.rows, inFile = this.rows.ids.every((id, i) => id === i) ? name : `${name}, position in the file`;
    return { ...AXIS, title: { text: this.of === "file" ? inFile : `${name}s in this order` }, autorange: "reversed", ...wholeTicks(this.order.length - 1) };
  }

  rois(row) {
    return this.order.slice(row * this.raster.rois_per_row, (row + 1) * this.raster.rois_per_row);
  }

  names(row) {
    const { name } = this.rows, ids = this.rois(row).map((roi) => this.rows.ids[roi]);
    return ids.length === 1 ? `${name} ${ids[0]}` : `${name}s ${ids.slice(0, MOST_NAMED).join(", ")}${ids.length > MOST_NAMED ? ", ..." : ""}`;
  }

  busiest(row) {
    return this.rois(row).reduce((best, roi) => (this.rows.activity[roi] > this.rows.activity[best] ? roi : best));
  }

  step(by) {
    const roi = this.order[this.places.get(this.marked) + by];
    if (roi !== undefined) this.onSelect(roi);
  }

  mark(roi) {
    this.marked = roi;
    const y = this.places.get(roi);
    // Beside the row, so that it covers none of it, and away from the numbers of the axis.
    Plotly.relayout(this.chart, { shapes: [{ type: "line", xref: "paper", x0: 1.002, x1: 1.018, y0: y, y1: y, line: { color: VERMILLION, width: 5 } }] });
  }
}
