import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Tests that cross the faces lie outside this folder; they take their packages from it. */
const packages = ["fast-check", "playwright-core"].map((name) => ({
  find: name,
  replacement: here(`node_modules/${name}`),
}));

/** The page itself is asked for with the document, not when the script that starts the worker has run. */
const preloadPage: Plugin = {
  name: "preload-page",
  apply: "build",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle = {} }) =>
      Object.values(bundle)
        .filter((file) => file.type === "chunk" && file.facadeModuleId === here("src/page.tsx"))
        .map(({ fileName }) => ({
          tag: "link",
          attrs: { rel: "modulepreload", crossorigin: true, href: `./${fileName}` },
          injectTo: "head",
        })),
  },
};

export default defineConfig({
  plugins: [preloadPage],
  // Relative addresses: the page works under any path of any static host.
  base: "./",
  build: {
    target: "es2022",
    // The wasm module and everything else are files of their own, never inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // The sample traces lie with the measurements.
  server: { fs: { allow: [here("..")] } },
  worker: { format: "es" },
  test: {
    projects: [
      {
        extends: true,
        test: { name: "unit", environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
      },
      {
        extends: true,
        resolve: { alias: packages },
        test: { name: "wasm", environment: "node", dir: here("../tests/web"), include: ["**/wasm*.test.ts"] },
      },
      {
        extends: true,
        resolve: { alias: packages },
        test: {
          name: "browser",
          environment: "node",
          dir: here("../tests/web"),
          include: ["**/page*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
