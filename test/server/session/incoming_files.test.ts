import { describe, expect, test } from "bun:test";
import { ok } from "../../../src/model/outcome.ts";
import { ByteBudget } from "../../../src/net/byte_budget.ts";
import type { PlaceSession } from "../../../src/places/place.ts";
import { IncomingFiles } from "../../../src/server/session/incoming_files.ts";

describe("IncomingFiles", () => {
  /** A session that notes what it is asked. */
  function noting() {
    const calls: string[] = [];
    const session = {
      stage: ({ guid }: { guid: string }) => {
        calls.push(`stage ${guid}`);
        return {
          write: (bytes: Uint8Array) => {
            calls.push(`write ${bytes.length}`);
            return undefined;
          },
          end: () => {
            calls.push("end");
            return undefined;
          },
          abort: () => calls.push("abort"),
        };
      },
      flush: () => Promise.resolve(ok(undefined)),
    } as unknown as PlaceSession;
    return { calls, session };
  }
  const others = { hasRoom: () => true, onMessage: () => undefined };
  const start = (size: number) =>
    ({ kind: "fileStart", name: "MESSAGE", partition: "p", guid: `g${size}`, size }) as const;

  test("refuses what is over budget and goes on with what fits", async () => {
    const { calls, session } = noting();
    const shared = new ByteBudget(100);
    const own = new ByteBudget(10, shared);
    const files = new IncomingFiles(session, { budget: own, ...others });
    for (const size of [6, 5, 4]) {
      files.take(start(size), "APPLY");
      files.take({ kind: "fileData", bytes: new Uint8Array(size) }, "APPLY");
      files.take({ kind: "fileEnd" }, "APPLY");
    }
    expect(calls).toEqual(["stage g6", "write 6", "end", "stage g4", "write 4", "end"]);
    expect(await files.finish()).toMatchObject({ kind: "refused", reason: "noSpace" });
    expect(await files.finish()).toMatchObject({ kind: "ok" });
    expect([own.usedBytes, shared.usedBytes]).toEqual([10, 10]);
    files.release();
    expect([own.usedBytes, shared.usedBytes]).toEqual([0, 0]);
  });

  test("takes nothing where the account's budget has no room", () => {
    const shared = new ByteBudget(3);
    const own = new ByteBudget(10, shared);
    new IncomingFiles(noting().session, { budget: own, ...others }).take(start(5), "APPLY");
    expect([own.usedBytes, shared.usedBytes]).toEqual([0, 0]);
  });

  test("abort() drops the file that is being written", () => {
    const { calls, session } = noting();
    const files = new IncomingFiles(session, { budget: new ByteBudget(1000), ...others });
    files.take(start(6), "APPLY");
    files.abort();
    files.abort();
    expect(calls).toEqual(["stage g6", "abort"]);
  });
});
