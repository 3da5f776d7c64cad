// Charts of the whole recording: noise levels, population raster, ground truth at this quality.
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
const FONT = { family: "system-ui, 'Segoe UI', Roboto, Arial, 'DejaVu Sans', sans-serif", size: 13, color: "#1a1a1a" };
const AXIS = { zeroline: false, gridcolor: "#e6e6e6", linecolor: "#8a8a8a", showline: true, ticks: "outside" };

const baseLayout = (more) => ({
  font: FONT, paper_bgcolor: "#fff", plot_bgcolor: "#fff", margin: { l: 70, r: 20, t: 30, b: 50 }, hovermode: "closest", ...more,
});

function drawNoise(noise) {
  const element = document.getElementById("noise-chart");
  if (!element || !noise) return;
  const { edges, covered, uncovered, levels } = noise;
  const centres = covered.map((_, i) => (edges[i] + edges[i + 1]) / 2);
  const bars = (name, color, pattern, counts) => ({
    type: "bar", name, showlegend: counts.some((count) => count > 0), x: centres, y: counts, width: edges[1] - edges[0],
    marker: { color, line: { color: "#fff", width: 1 }, pattern: { shape: pattern, fillmode: "overlay", fgcolor: "#fff" } },
    hovertemplate: "ν about %{x:.2f}: %{y} ROIs<extra></extra>",
  });
  const shapes = levels.map((level) => ({
    type: "line", x0: level, x1: level, yref: "paper", y0: 0, y1: 1, line: { color: "#666", width: 1, dash: "dot" },
  }));
  Plotly.newPlot(element, [
    bars("the model was trained for this", BLUE, "", covered),
    bars("it was not", VERMILLION, "/", uncovered),
  ], baseLayout({
    height: 320, shapes, barmode: "stack", legend: { orientation: "h", y: 1.15, traceorder: "normal" },
    xaxis: { ...AXIS, rangemode: "tozero",
      title: { text: "noise level ν (% Hz<sup>−1/2</sup>); dotted: levels of the model" } },
    yaxis: { ...AXIS, title: { text: "ROIs" }, ...wholeTicks(Math.max(...covered.map((count, i) => count + uncovered[i]))) },
  }), CONFIG);
}

// Ticks of an axis of whole numbers: plotly would put some between them where there are few.
const wholeTicks = (largest) => (largest < 8 ? { dtick: 1 } : {});

// The ROIs of each row of the raster, once per column, as plotly wants it for the text under the mouse.
function rowNames(raster, ids) {
  return Array.from({ length: raster.n_rows }, (_, r) => {
    const own = ids.slice(r * raster.rois_per_row, (r + 1) * raster.rois_per_row);
    const name = own.length === 1 ? `ROI ${own[0]}` : `ROIs ${own[0]} to ${own[own.length - 1]}`;
    return Array(raster.n_columns).fill(name);
  });
}

async function drawRaster(raster, packed, rows, onClick) {
  const element = document.getElementById("raster-chart");
  if (!element || !raster) return;
  const shades = await typed(packed, raster.shades);
  const z = Array.from({ length: raster.n_rows }, (_, r) => Array.from(
    shades.subarray(r * raster.n_columns, (r + 1) * raster.n_columns),
    (shade) => (shade === 255 ? null : (shade / 254) * raster.top_hz)));
  const dx = raster.column_s, dy = raster.rois_per_row;
  await Plotly.newPlot(element, [{
    type: "heatmap", z, x0: rows.start[0] + dx / 2, dx, y0: (dy - 1) / 2, dy, customdata: rowNames(raster, rows.ids), colorscale: "Cividis", zmin: 0, zmax: raster.top_hz,
    colorbar: { title: { text: "spikes/s", side: "right" }, thickness: 14 }, hoverongaps: false,
    hovertemplate: "%{x:.1f} s, %{customdata}: %{z:.2f} spikes/s<extra>click to see its traces</extra>",
  }], baseLayout({
    height: 420,
    xaxis: { ...AXIS, title: { text: "time (s)" } },
    yaxis: { ...AXIS, title: { text: rows.ids.every((id, i) => id === i) ? "ROI" : "ROI, position in the file" },
      autorange: "reversed", ...wholeTicks(rows.ids.length - 1) },
  }), CONFIG);
  element.on("plotly_click", (event) => onClick(event.points[0].pointIndex[0] * raster.rois_per_row, raster.rois_per_row));
}

function markRaster(index) {
  const element = document.getElementById("raster-chart");
  if (!element || !element.data) return;
  // Beside the row, so that it covers none of it, and away from the numbers of the axis.
  const mark = { type: "line", xref: "paper", x0: 1.002, x1: 1.018, y0: index, y1: index, line: { color: VERMILLION, width: 5 } };
  Plotly.relayout(element, { shapes: [mark] });
}

function drawExamples(examples) {
  const element = document.getElementById("example-chart");
  if (!element || !examples) return;
  const nRows = examples.cells.length, nColumns = examples.noise_levels.length;
  const traces = [], layout = baseLayout({ height: 90 + 170 * nRows, showlegend: false, annotations: [], margin: { l: 70, r: 20, t: 60, b: 50 } });
  examples.cells.forEach((cell, r) => {
    const all = cell.panels.flatMap((panel) => (panel ? panel.dff : []));
    const least = Math.min(...all), most = Math.max(...all), span = most - least || 1;
    for (let c = 0; c < nColumns; c++) {
      const n = r * nColumns + c + 1, suffix = n === 1 ? "" : String(n);
      const gap = 0.03, width = (1 - gap * (nColumns - 1)) / nColumns, height = 1 / nRows;
      const x = [c * (width + gap), c * (width + gap) + width], top = 1 - r * height;
      layout[`xaxis${suffix}`] = { ...AXIS, domain: x, anchor: `y${suffix}`, matches: n === 1 ? undefined : "x",
        showticklabels: r === nRows - 1, title: { text: r === nRows - 1 ? "time (s)" : "" } };
      layout[`yaxis${suffix}`] = { ...AXIS, domain: [top - height + 0.06, top - 0.05], anchor: `x${suffix}`,
        range: [least - 0.35 * span, most + 0.05 * span], showticklabels: c === 0, title: { text: c === 0 ? "dF/F" : "" } };
      layout.annotations.push({ text: cell.name, showarrow: false, xref: "paper", yref: "paper", x: 0, y: top - 0.05,
        xanchor: "left", yanchor: "bottom", font: { size: 12 }, visible: c === 0 });
      const panel = cell.panels[c];
      if (!panel) {
        layout.annotations.push({ text: "the recording itself is noisier", showarrow: false, xref: `x${suffix} domain`, yref: `y${suffix} domain`, x: 0.5, y: 0.5 });
        continue;
      }
      const times = panel.dff.map((_, i) => i / examples.imaging_rate);
      const axes = { xaxis: `x${suffix}`, yaxis: `y${suffix}`, type: "scatter" };
      traces.push({ ...axes, x: times, y: panel.dff, mode: "lines", line: { color: DARK, width: 1.2 }, hovertemplate: "%{x:.2f} s: %{y:.2f}<extra></extra>" });
      traces.push({ ...axes, x: panel.spikes, y: panel.spikes.map(() => least - 0.2 * span), mode: "markers",
        marker: { symbol: "line-ns", size: 12, line: { color: VERMILLION, width: 1.8 } }, hovertemplate: "spike at %{x:.3f} s<extra></extra>" });
    }
  });
  examples.headings.forEach((text, c) => {
    const gap = 0.03, width = (1 - gap * (nColumns - 1)) / nColumns;
    layout.annotations.push({ text, showarrow: false, xref: "paper", yref: "paper", x: c * (width + gap) + width / 2, y: 1.0,
      xanchor: "center", yanchor: "bottom", yshift: 18, font: { size: 13, weight: 600 } });
  });
  Plotly.newPlot(element, traces, layout, CONFIG);
}
