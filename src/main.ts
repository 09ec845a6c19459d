/** argv in, exit code out; nothing else. */
import { runCli } from "./cli/run.ts";

const workerUrl = new URL("./worker.ts", import.meta.url);
process.exitCode = await runCli(process.argv.slice(2), { workerUrl });
