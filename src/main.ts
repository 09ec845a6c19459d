/** The program: arguments in, exit code out. */
import { start } from "./cli/start.ts";

/** What a command leaves behind, a timer or a connection, does not keep the process longer. */
const LEFTOVERS_MS = 500;

const workerUrl = new URL("./worker.ts", import.meta.url);
process.exitCode = await start(process.argv.slice(2), { workerUrl });
setTimeout(() => process.exit(), LEFTOVERS_MS).unref();
