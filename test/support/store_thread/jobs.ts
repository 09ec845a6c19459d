/** The module that a test's store threads run, bundled once: they start several times as fast. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { tempDir } from "../temp_dir.ts";

/** Whoever stages it kills the thread. */
export const FATAL_GUID = "dead".repeat(10);

let built: Promise<URL> | undefined;

/** The URL of `worker.ts` beside this file, bundled. */
export function storeThreadUrl(): Promise<URL> {
  built ??= build();
  return built;
}

async function build(): Promise<URL> {
  const folder = tempDir("thread");
  const entrypoints = [join(import.meta.dir, "worker.ts")];
  const made = await Bun.build({ entrypoints, outdir: folder, target: "bun" });
  if (!made.success) throw new Error(made.logs.join("\n"));
  return pathToFileURL(join(folder, "worker.js"));
}
