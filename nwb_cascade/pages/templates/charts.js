// What all charts have in common, and ground truth at this quality.
const element = (id) => document.getElementById(id);

const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] };
const FONT = { family: "system-ui, 'Segoe UI', Roboto, Arial, 'DejaVu Sans', sans-serif", size: 13, color: "#1a1a1a" };
const AXIS = { zeroline: false, gridcolor: "#e6e6e6", linecolor: "#8a8a8a", showline: true, ticks: "outside" };

const baseLayout = (more) => ({
  font: FONT, paper_bgcolor: "#fff", plot_bgcolor: "#fff", margin: { l: 70, r: 20, t: 30, b: 50 }, hovermode: "closest", ...more,
});

// Answer keys that a chart in focus gets.
function listenForArrows(chart, actions) {
  chart.addEventListener("keydown", (event) => {
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  });
}

// Ticks of an axis of whole numbers: plotly would put some between them where there are few.
const wholeTicks = (largest) => (largest < 8 ? { dtick: 1 } : {});

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
