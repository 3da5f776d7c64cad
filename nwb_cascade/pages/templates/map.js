// The ROIs in their field of view: a colour per ROI over the picture of the plane.
const OF_RATES = "Viridis", OF_WARNINGS = [[0, "#56B4E9"], [0.01, "#E69F00"], [1, "#D55E00"]];

class PlaneMap {
  constructor(facts, packed, onSelect) {
    Object.assign(this, { facts, onSelect, map: facts.map, ids: facts.rows.ids, chart: element("map-chart") });
    element("map-colour").addEventListener("change", (event) => this.colour(event.target.value));
    listenForArrows(this.chart, { ArrowUp: () => this.step(0, -1), ArrowDown: () => this.step(0, 1), ArrowLeft: () => this.step(-1, 0), ArrowRight: () => this.step(1, 0) });
  }

  static async drawn(facts, packed, onSelect) {
    const plane = new PlaneMap(facts, packed, onSelect), { map } = plane;
    plane.labels = rowsOf(await typed(packed, map.labels), map.n_rows, map.n_columns, (label) => label - 1);
    plane.picture = map.picture && rowsOf(await typed(packed, map.picture), map.n_rows, map.n_columns);
    await plane.colour("rate");
    plane.chart.on("plotly_click", (event) => {
      const [row, column] = event.points[0].pointIndex;
      if (plane.labels[row][column] >= 0) plane.onSelect(plane.labels[row][column]);
    });
    return plane;
  }

  async colour(by) {
    const { labels, map, ids } = this, { values, unit } = map.colourings[by], known = values.filter((value) => value !== null);
    const sorted = [...known].sort((a, b) => a - b), least = by === "noise" ? sorted[0] : 0;
    const most = by === "warnings" ? sorted[sorted.length - 1] || 1 : sorted[Math.floor(0.99 * (sorted.length - 1))];
    const place = { x0: (map.pixels - 1) / 2, dx: map.pixels, y0: (map.pixels - 1) / 2, dy: map.pixels, type: "heatmap", hoverongaps: false };
    const layer = (valueOf, more) => ({ ...place, z: labels.map((row) => row.map((roi) => (roi < 0 ? null : valueOf(roi)))), ...more });
    const names = labels.map((row) => row.map((roi) => (roi < 0 ? "" : ids[roi])));
    const traces = [];
    if (this.picture) traces.push({ ...place, z: this.picture, colorscale: "Greys", reversescale: false, showscale: false, hoverinfo: "skip" });
    if (known.length < values.length) {
      traces.push(layer((roi) => (values[roi] === null ? 0 : null), { colorscale: [[0, "#999"], [1, "#999"]], showscale: false, customdata: names,
        hovertemplate: "ROI %{customdata}: no value<extra>click to see its traces</extra>" }));
    }
    traces.push(layer((roi) => values[roi], {
      customdata: names, colorscale: by === "warnings" ? OF_WARNINGS : OF_RATES, zmin: least, zmax: most > least ? most : least + 1, opacity: this.picture ? 0.75 : 1,
      colorbar: { title: { text: unit, side: "right" }, thickness: 14, ...(by === "warnings" ? wholeTicks(most) : {}) },
      hovertemplate: "ROI %{customdata}: %{z:.3g}<extra>click to see its traces</extra>",
    }));
    traces.push({ type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", marker: { symbol: "circle-open", size: 22, color: VERMILLION, line: { width: 3 } } });
    const axis = { ...AXIS, showgrid: false, constrain: "domain" };
    await Plotly.react(this.chart, traces, baseLayout({
      height: 520, showlegend: false, margin: { l: 60, r: 20, t: 30, b: 50 }, xaxis: { ...axis, title: { text: "x (pixels)" } },
      yaxis: { ...axis, title: { text: "y (pixels)" }, autorange: "reversed", scaleanchor: "x" },
    }), CONFIG);
    this.chart.dataset.colour = by;
    if (this.marked !== undefined) this.mark(this.marked);
  }

  mark(roi) {
    this.marked = roi;
    const [x, y] = this.map.centres.map((axis) => axis[roi]), last = this.chart.data.length - 1;
    Plotly.restyle(this.chart, { x: [x === null ? [] : [x]], y: [y === null ? [] : [y]] }, [last]);
  }

  // The nearest ROI in a direction, those straight ahead first.
  step(right, down) {
    const [xs, ys] = this.map.centres, here = [xs[this.marked], ys[this.marked]];
    let nearest, least = Infinity;
    xs.forEach((x, roi) => {
      if (x === null || roi === this.marked) return;
      const ahead = (x - here[0]) * right + (ys[roi] - here[1]) * down, aside = Math.abs((x - here[0]) * down) + Math.abs((ys[roi] - here[1]) * right);
      if (ahead > 0 && ahead + 2 * aside < least) { least = ahead + 2 * aside; nearest = roi; }
    });
    if (nearest !== undefined) this.onSelect(nearest);
  }
}
