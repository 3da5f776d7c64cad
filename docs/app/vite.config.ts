import { defineConfig } from "vite";

// Relative addresses, so that the built page lies anywhere below a site.
export default defineConfig({
  base: "./",
  worker: { format: "iife" },
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "import", "module", "browser", "default"] },
  build: { target: "es2022", assetsInlineLimit: 0, chunkSizeWarningLimit: 6000 },
});
