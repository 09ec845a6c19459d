/**
 * `npm run bench -- WHAT [options]`: the project's own measurements. They are no tests: nothing
 * here passes or fails, and what was measured where is for whoever quotes it.
 */
import { benchBackup } from "./backup.ts";
import { benchFsck } from "./fsck.ts";
import { benchLive } from "./live.ts";
import { benchReplicate } from "./replicate.ts";
import { benchServe } from "./serve.ts";
import { benchStall } from "./stall.ts";
import { benchStore } from "./store.ts";

const BENCHES: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  backup: benchBackup,
  fsck: benchFsck,
  live: benchLive,
  replicate: benchReplicate,
  serve: benchServe,
  stall: benchStall,
  store: benchStore,
};

const [what = "", ...rest] = process.argv.slice(2);
const bench = Object.hasOwn(BENCHES, what) ? BENCHES[what] : undefined;
if (bench === undefined) {
  console.error(`usage: npm run bench -- ${Object.keys(BENCHES).join("|")} [options]`);
  process.exit(64);
}
await bench(rest);
