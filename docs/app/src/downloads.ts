/** Results as files: `.npy` (n_rois, n_frames) float32 and `.csv` with a column per ROI. */

export function npyFile(rows: Float32Array[]): Blob {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length}, ${rows[0].length}), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const start = new Uint8Array(10);
  start.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  return new Blob([start, header, ...(rows as Float32Array<ArrayBuffer>[])]);
}

/** Times in s, then expected spikes per frame of every ROI; empty where there is no value. */
export function csvFile(rows: Float32Array[], names: string[], times: Float64Array): Blob {
  const lines = [["time_s", ...names].join(",") + "\n"];
  for (let t = 0; t < rows[0].length; t++) {
    const values = rows.map((row) => (Number.isNaN(row[t]) ? "" : String(Number(row[t].toPrecision(7)))));
    lines.push(`${Number(times[t].toFixed(6))},${values.join(",")}\n`);
  }
  return new Blob(lines, { type: "text/csv" });
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
