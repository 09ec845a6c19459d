/** argv in, exit code out; nothing else. */
import { start } from "./cli/start.ts";

const workerUrl = new URL("./worker.ts", import.meta.url);
process.exitCode = await start(process.argv.slice(2), { workerUrl });
