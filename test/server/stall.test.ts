/** One user's large request beside another user's small ones. */
import { expect, test } from "bun:test";
import { initStore } from "../../src/places/store/settings.ts";
import { openWorkerPlace } from "../../src/places/store/worker_place.ts";
import { Csync } from "../support/csync.ts";
import { applyManyLine, fillSmall, stageDistinct } from "../support/many_records.ts";
import { testServer } from "../support/serve.ts";
import { storeThreadUrl } from "../support/store_thread/jobs.ts";
import { tempDir } from "../support/temp_dir.ts";

const RECORDS = process.env["BOBBIN_TEST_SIZE"] === "long" ? 20_000 : 5_000;

test("a user is answered while another one's large APPLY MAILBOX is under way", async () => {
  const root = `${tempDir("stall")}/store`;
  initStore(root);
  const place = openWorkerPlace(root, { url: await storeThreadUrl() });
  const server = await testServer({ place });
  const [large, small] = [await Csync.signedIn(server.port), await Csync.signedIn(server.port)];
  await fillSmall(small, "small");
  await stageDistinct(large);
  const started = performance.now();
  let isOver = false;
  const applying = large.command(applyManyLine("large", RECORDS)).then(({ status }) => {
    isOver = true;
    return status;
  });
  const waits: number[] = [];
  while (!isOver) {
    const asked = performance.now();
    const { data, status } = await small.command("GET USER small");
    expect(status).toBe("OK success");
    expect(data.length).toBe(1);
    waits.push(performance.now() - asked);
  }
  expect(await applying).toBe("OK success");
  const took = performance.now() - started;
  // On the main thread the one answer would come after the disk had all of it.
  expect(Math.max(...waits)).toBeLessThan(took / 2);
  expect(waits.length).toBeGreaterThan(5);
  large.close();
  small.close();
  await server.stop();
});
