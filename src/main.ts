/** The program: arguments in, exit code out. */
import { start } from "./cli/start.ts";

const workerUrl = new URL("./worker.ts", import.meta.url);
process.exitCode = await start(process.argv.slice(2), { workerUrl });
