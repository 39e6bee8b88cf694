// Builds the wasm package: compile, write the glue, optimise, print the size. `node scripts/build-wasm.mjs` (or `npm run
// wasm`) leaves rackrate.js, rackrate.d.ts and rackrate_bg.wasm in web/pkg, and in web/pkg/page what the page loads first.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { namedByOrder } from "./order-functions.mjs";

const web = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(web);
const pkg = join(web, "pkg");
const budget = 400_000;

const kb = (n) => `${(n / 1000).toFixed(1)} kB`;

const run = (program, args, cwd = root) =>
  execFileSync(program, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });

const target = JSON.parse(
  execFileSync("cargo", ["metadata", "--format-version", "1", "--no-deps"], {
    cwd: root,
    maxBuffer: 2 ** 28,
  }),
).target_directory;

// At level "z" alone next to nothing is inlined, and a plan takes a fifth longer than at "s". With this threshold of LLVM's
// own (its default is 225) it takes as long as at "s"; 20 more or less are 11 kB.
const inline = 'target.wasm32-unknown-unknown.rustflags = ["-Cllvm-args=-inline-threshold=25"]';
const features = [
  "bulk-memory",
  "multivalue",
  "mutable-globals",
  "nontrapping-float-to-int",
  "reference-types",
  "sign-ext",
];

/** Builds the package in `folder` with these options of cargo; its module's size. */
const build = (folder, ...options) => {
  run("cargo", [
    ...["build", "--quiet", "--locked", "--package", "rackrate-wasm", ...options],
    ...["--profile", "wasm", "--target", "wasm32-unknown-unknown", "--config", inline],
  ]);
  run("cargo", [
    ...["run", "--quiet", "--locked", "--package", "rackrate-bindgen", "--"],
    join(target, "wasm32-unknown-unknown", "wasm", "rackrate_wasm.wasm"),
    folder,
  ]);
  const module = join(folder, "rackrate_bg.wasm");
  const optimise = (...passes) =>
    run(join(web, "node_modules", ".bin", "wasm-opt"), [
      ...passes,
      // Features by name: with all of them on, Node 20 refuses the module.
      ...features.map((name) => `--enable-${name}`),
      "--strip-debug",
      "--strip-producers",
      ...[module, "--output", module],
    ]);
  // Quick first, then small: as small as small alone, and a sixth of a plan's time less. Functions with one caller stay
  // apart: inlined they are fewer bytes, but 33 kB more after gzip, which finds less alike in long functions.
  optimise("-O3", "-Oz", "--one-caller-inline-max-function-size=0");
  writeFileSync(module, namedByOrder(readFileSync(module)));
  optimise("--reorder-functions-by-name");

  const bytes = readFileSync(module);
  const gzip = gzipSync(bytes, { level: 9 }).length;
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  }).length;
  console.log(`${relative(web, module)}: ${kb(bytes.length)}, gzip ${kb(gzip)}, brotli ${kb(brotli)}`);
  return gzip;
};

rmSync(pkg, { recursive: true, force: true });
build(pkg);
// What the page loads first: without what it asks only when somebody looks closer.
const gzip = build(join(pkg, "page"), "--no-default-features");
if (gzip > budget) {
  console.error(`the page's module is over its budget of ${kb(budget)} gzip by ${kb(gzip - budget)}`);
  process.exit(1);
}
