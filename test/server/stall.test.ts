/** One user's large request beside another user's small ones. */
import { expect, test } from "bun:test";
import { connect } from "node:net";
import { initStore } from "../../src/places/store/store_settings.ts";
import { openWorkerPlace } from "../../src/places/store/threads/worker_place.ts";
import { Csync } from "../support/csync.ts";
import { applyManyLine, fillSmall, stageDistinct } from "../support/many_records.ts";
import { newStore } from "../support/new_store.ts";
import { testServer } from "../support/serve.ts";
import { apply, fill, record, stateOf } from "../support/store_fixture.ts";
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

/**
 * Signs in, asks and reads the answer without looking at it; its length when the status has come.
 */
async function lengthOfAnswer(port: number, line: string): Promise<number> {
  const socket = connect({ host: "127.0.0.1", port });
  const initial = Buffer.from("\0admin\0labpass").toString("base64");
  let length = 0;
  let end = "";
  let isAsked = false;
  const done = Promise.withResolvers<number>();
  socket.on("data", (chunk: Buffer) => {
    length += chunk.length;
    end = (end + chunk.subarray(-40).toString("latin1")).slice(-40);
    if (!end.endsWith("\r\n")) return;
    if (end.includes("* OK ")) socket.write(`AUTHENTICATE PLAIN ${initial}\r\n`);
    else if (isAsked) done.resolve(length);
    else {
      isAsked = true;
      socket.write(`${line}\r\n`);
    }
  });
  try {
    return await done.promise;
  } finally {
    socket.destroy();
  }
}

/**
 * A store in which `user.large` has so many expunged records, which need no messages, and
 * `user.small` one.
 */
function storeWithLarge(records: number): string {
  const { root, store } = newStore();
  const large = Array.from({ length: records }, (_, at) => record(at + 1, { expunged: true }, 1));
  apply(store, { state: stateOf("user.large", large), records: large });
  fill(store, "user.small", 1);
  store.close();
  return root;
}

test("a user is answered while another one is sent a large FULLMAILBOX", async () => {
  const root = storeWithLarge(2 * RECORDS);
  const server = await testServer({
    place: openWorkerPlace(root, { url: await storeThreadUrl() }),
  });
  const small = await Csync.signedIn(server.port);
  const started = performance.now();
  let length: number | undefined;
  const taking = lengthOfAnswer(server.port, "GET FULLMAILBOX user.large").then((bytes) => {
    length = bytes;
  });
  const waits: number[] = [];
  while (length === undefined) {
    const asked = performance.now();
    expect((await small.command("NOOP")).status).toStartWith("OK");
    waits.push(performance.now() - asked);
  }
  await taking;
  const took = performance.now() - started;
  expect(length).toBeGreaterThan(2 * RECORDS * 100);
  expect(Math.max(...waits)).toBeLessThan(took / 3);
  small.close();
  await server.stop();
});

test("mailboxes on their way to clients count as held; without room it is busy", async () => {
  const root = storeWithLarge(2000);
  const place = openWorkerPlace(root, { url: await storeThreadUrl() });
  const server = await testServer({ place, limits: { heldBytes: 100_000 } });
  const client = await Csync.signedIn(server.port);
  const large = await client.command("GET FULLMAILBOX user.large");
  expect(large).toEqual({ data: [], status: expect.stringMatching(/^NO IMAP_MAILBOX_LOCKED/) });
  expect((await client.command("GET FULLMAILBOX user.small")).status).toBe("OK success");
  expect(server.server.heldBytes()).toBe(0);
  client.close();
  await server.stop();
});
