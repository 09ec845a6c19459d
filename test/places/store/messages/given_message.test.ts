import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageContent, Place } from "../../../../src/places/place.ts";
import { messageFile, poolPath } from "../../../../src/places/store/layout.ts";
import { openStorePlace } from "../../../../src/places/store/store_place.ts";
import { openWorkerPlace } from "../../../../src/places/store/threads/worker_place.ts";
import { newStore } from "../../../support/new_store.ts";
import { granted } from "../../../support/places.ts";
import { apply, guidOf, message, record, stateOf } from "../../../support/store_fixture.ts";
import { storeThreadUrl } from "../../../support/store_thread/jobs.ts";

const NAME = "user.fred";
const FOLDER = "user/f/fred";
const { uniqueid } = stateOf(NAME, []);
const SMALL = message(1);
const LARGE = message(2, 700_000);

/** A store with a small message 1 and a large message 2. */
function filled(): string {
  const { root, store } = newStore();
  const records = [SMALL, LARGE].map((bytes, at) =>
    record(at + 1, { guid: guidOf(bytes), size: bytes.length }),
  );
  apply(store, { state: stateOf(NAME, records), records }, [SMALL, LARGE]);
  store.close();
  return root;
}

function pathsOf(root: string, uid: number, bytes: Uint8Array): string[] {
  const names = [`${uniqueid}/${messageFile(uid)}`, poolPath(guidOf(bytes))];
  return names.map((name) => join(root, FOLDER, name));
}

async function get(place: Place, uid: number, bytes: Uint8Array) {
  const address = { mailbox: NAME, uniqueid, partition: "default", uid, guid: guidOf(bytes) };
  return granted(await place.message(address));
}

async function readAll(content: MessageContent): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Descriptors of this process for files below `root` that are messages. */
function openMessages(root: string): number {
  const paths = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch (error) {
      return String(error); // the descriptor of this listing
    }
  });
  return paths.filter((path) => path.startsWith(join(root, FOLDER)) && /\.( |$)/.test(path)).length;
}

const PLACES: readonly (readonly [string, (root: string) => Promise<Place>])[] = [
  ["StorePlace", async (root) => openStorePlace(root)],
  ["WorkerPlace", async (root) => openWorkerPlace(root, { url: await storeThreadUrl() })],
];

for (const [what, open] of PLACES) {
  describe(`${what}.message()`, () => {
    for (const [uid, bytes] of [SMALL, LARGE].entries()) {
      test(`gives the ${bytes.length} bytes it has checked, whatever is there now`, async () => {
        const root = filled();
        const place = await open(root);
        const content = await get(place, uid + 1, bytes);
        for (const path of pathsOf(root, uid + 1, bytes)) {
          rmSync(path);
          writeFileSync(path, "something else");
        }
        expect(Buffer.from(await readAll(content)).equals(bytes)).toBe(true);
        expect(openMessages(root)).toBe(0);
        await place.close();
      });
    }

    test("closes the file of a message that is read in part", async () => {
      const root = filled();
      const place = await open(root);
      for await (const chunk of (await get(place, 2, LARGE)).chunks()) {
        expect(chunk.length).toBeLessThan(LARGE.length);
        expect(openMessages(root)).toBe(1);
        break;
      }
      expect(openMessages(root)).toBe(0);
      expect(readFileSync(pathsOf(root, 2, LARGE)[0] ?? "").length).toBe(LARGE.length);
      await place.close();
    });

    test("keeps no file open that is not the message, and takes the pool's", async () => {
      const root = filled();
      const [inFolder = ""] = pathsOf(root, 2, LARGE);
      rmSync(inFolder);
      writeFileSync(inFolder, Buffer.alloc(700_000));
      const place = await open(root);
      expect(Buffer.from(await readAll(await get(place, 2, LARGE))).equals(LARGE)).toBe(true);
      expect(openMessages(root)).toBe(0);
      await place.close();
    });
  });
}
