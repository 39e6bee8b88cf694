// A static host of the plainest kind, for the built page under a path of its own, and a browser to open it.
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";

const dist = fileURLToPath(new URL("../../web/dist/", import.meta.url));
const TYPES: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

export interface Site {
  address: string;
  close: () => void;
}

/** What lies in a folder, by its path there: read at once, so that a build that begins meanwhile changes nothing of it. */
const held = async (folder: string): Promise<Map<string, Buffer>> => {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name));
  return new Map(
    await Promise.all(
      files.map(async (file) => [relative(folder, file).replaceAll(sep, "/"), await readFile(file)] as const),
    ),
  );
};

/** The built page under `path`, or another folder, as it is now. */
export const serve = async (path: string, folder = dist): Promise<Site> => {
  if (folder === dist && !existsSync(join(dist, "index.html")))
    throw new Error("build the page first: npm run build");
  const files = await held(folder);
  const server: Server = createServer(({ url = "/" }, response) => {
    const { pathname } = new URL(url, "http://localhost");
    if (!pathname.startsWith(path)) return response.writeHead(404).end();
    const file = pathname.slice(path.length) || "index.html";
    const body = files.get(decodeURIComponent(file));
    if (body === undefined) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(body);
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}${path}`, close: () => server.close() };
};

export const browse = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run",
    ],
  });
