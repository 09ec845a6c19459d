import { describe, expect, test } from "bun:test";
import { concat } from "../../../../src/core/bytes.ts";
import {
  BufferStock,
  Outbox,
  type SendBatch,
} from "../../../../src/places/store/threads/outbox.ts";
import type { StagedPiece } from "../../../../src/places/store/threads/store_jobs.ts";

type Batch = Parameters<SendBatch>[0];

/** An outbox whose batches are answered by hand. */
function heldOutbox() {
  const batches: Batch[] = [];
  const answers: (() => void)[] = [];
  const outbox = new Outbox(
    new BufferStock(),
    (batch) =>
      new Promise((resolve) => {
        batches.push(batch);
        answers.push(() => resolve(batch.buffer));
      }),
  );
  return { outbox, batches, answers };
}

function bytesIn(batches: readonly Batch[]): Uint8Array {
  return concat(
    batches.map(({ buffer, pieces }) => {
      const length = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
      return new Uint8Array(buffer ?? new ArrayBuffer(0), 0, length);
    }),
  );
}

const lengthOf = (piece: StagedPiece): number => (piece.kind === "bytes" ? piece.length : 0);

describe("Outbox", () => {
  test("write() makes a sender wait while its bytes are not taken", async () => {
    const { outbox, batches, answers } = heldOutbox();
    const piece = new Uint8Array(50_000).fill(7);
    let sent = 0;
    let waiting: Promise<void> | undefined;
    while (waiting === undefined && sent < 100) {
      waiting = outbox.write(piece);
      sent++;
    }
    expect(sent * piece.length).toBeLessThan(512 * 1024);
    let isFree = false;
    void waiting?.then(() => {
      isFree = true;
    });
    await Bun.sleep(1);
    expect(isFree).toBe(false);
    answers.shift()?.();
    await waiting;
    outbox.send();
    expect(bytesIn(batches).length).toBe(sent * piece.length);
  });

  test("send() keeps the order of bytes and of what is said between them", () => {
    const { outbox, batches } = heldOutbox();
    const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251);
    outbox.add({ kind: "begin", guid: "a" });
    for (let at = 0; at < bytes.length; at += 5000)
      void outbox.write(bytes.subarray(at, at + 5000));
    outbox.add({ kind: "end" });
    outbox.send();
    outbox.send();
    expect(bytesIn(batches)).toEqual(bytes);
    const kinds = batches.flatMap(({ pieces }) => pieces.map(({ kind }) => kind));
    expect(kinds).toEqual(["begin", "bytes", "bytes", "bytes", "end"]);
  });

  test("buffers that came back are used again", async () => {
    const stock = new BufferStock();
    const used = new Set<ArrayBuffer | undefined>();
    const outbox = new Outbox(stock, async ({ buffer }) => {
      used.add(buffer);
      return buffer;
    });
    for (let count = 0; count < 100; count++) {
      await outbox.write(new Uint8Array(100_000));
      await Bun.sleep(0);
    }
    expect(used.size).toBeLessThan(6);
  });
});
