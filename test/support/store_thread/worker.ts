/** A thread of a store that can be told to misbehave, and says which one it is. */
import { threadId, workerData } from "node:worker_threads";
import { utf8 } from "../../../src/core/bytes.ts";
import { ok, refused } from "../../../src/model/outcome.ts";
import { type StagedBatch, storeJobs } from "../../../src/places/store/threads/store_jobs.ts";
import { serveJobs } from "../../../src/threads/jobs.ts";

const jobs = storeJobs(workerData);

async function die(): Promise<never> {
  setTimeout(() => {
    throw new Error("planted death");
  }, 1);
  await Bun.sleep(60_000);
  throw new Error("still alive");
}

serveJobs({
  ...jobs,
  "store.sieveScript": async ({ userid, filename }: { userid: string; filename: string }) => {
    if (filename === "die") return die();
    if (filename !== "thread") return jobs["store.sieveScript"]({ userid, filename });
    await Bun.sleep(50);
    return ok(utf8(String(threadId)));
  },
  "store.apply": async (request: Parameters<(typeof jobs)["store.apply"]>[0]) => {
    const { command } = request;
    if (command.kind !== "unsub" || command.name !== "thread") return jobs["store.apply"](request);
    await Bun.sleep(50);
    return refused("failed", String(threadId));
  },
  "staging.write": (batch: StagedBatch) => {
    const isFatal = batch.pieces.some(
      (piece) => piece.kind === "begin" && piece.guid === "dead".repeat(10),
    );
    if (isFatal) process.exit(7); // the thread alone
    return jobs["staging.write"](batch);
  },
});
