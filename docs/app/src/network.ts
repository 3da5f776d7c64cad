/** The bundled ensemble by onnxruntime: WebAssembly, one thread, nothing from elsewhere. */

import * as ort from "onnxruntime-web/wasm";
import type { Network } from "./engine";

/** The runtime's program, by its address, and its WebAssembly; left alone in node. */
export function placeRuntime(mjs: string, wasm: ArrayBuffer): void {
  ort.env.wasm.wasmPaths = { mjs };
  ort.env.wasm.wasmBinary = wasm;
}

export async function loadNetwork(model: Uint8Array): Promise<Network> {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  return async (trace, condition, indicator) => {
    const results = await session.run({
      trace: new ort.Tensor("float32", trace, [1, trace.length]),
      condition: new ort.Tensor("float32", Float32Array.from(condition), [1, condition.length]),
      indicator: new ort.Tensor("int64", BigInt64Array.of(BigInt(indicator)), [1]),
    });
    return results.expected_spikes.data as Float32Array;
  };
}
