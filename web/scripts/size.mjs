// What a first visit loads, compressed as a host would send it.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), "dist");
const kb = (n) => `${(n / 1000).toFixed(1)} kB`.padStart(10);

console.log(`${"file".padEnd(34)}${"bytes".padStart(10)}${"gzip".padStart(10)}${"brotli".padStart(10)}`);
for (const file of readdirSync(dist, { recursive: true })
  .filter((name) => name.includes("."))
  .sort()) {
  const bytes = readFileSync(join(dist, file));
  const sizes = [bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length];
  console.log(`${file.padEnd(34)}${sizes.map(kb).join("")}`);
}
