import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import type { MailboxStep, RedoStep } from "../../../../src/places/store/catalogue/redo_rows.ts";
import { overlay, replay } from "../../../../src/places/store/commit/journal.ts";
import { DurableBatch, SyncDescriptors } from "../../../../src/storage/durable.ts";
import { property } from "../../../support/property.ts";
import { tempDir } from "../../../support/temp_dir.ts";

function steps(...list: RedoStep[]): MailboxStep[] {
  return list.map((step) => ({ uniqueid: "a1", step }));
}

function doSteps(folder: string, list: readonly MailboxStep[]) {
  const released: string[] = [];
  const batch = new DurableBatch(new SyncDescriptors([]));
  const unfit = replay(list, {
    folder,
    release: (uniqueids) => released.push(...uniqueids),
    batch,
  });
  batch.flush();
  return { released, unfit };
}

function indexHead(generation: number, records: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, generation);
  view.setUint32(20, records);
  return bytes;
}

describe("replay()", () => {
  test("does every kind of step, and doing all of them again changes nothing", () => {
    const folder = tempDir("journal");
    mkdirSync(join(folder, "a1"));
    mkdirSync(join(folder, "b2"));
    writeFileSync(join(folder, "a1/cyrus.index"), "0123456789");
    writeFileSync(join(folder, "a1/1."), "mail");
    const list = steps(
      { kind: "write", path: "a1/cyrus.index", offset: 8, bytes: Buffer.from("abcd") },
      { kind: "write", path: "a1/cyrus.index", offset: 0, bytes: Buffer.from("X") },
      { kind: "replace", path: "a1/cyrus.header", bytes: Buffer.from("header") },
      { kind: "replace", path: "c3/cyrus.header", bytes: Buffer.from("new mailbox") },
      { kind: "unlink", path: "a1/1." },
      { kind: "move", path: "b2", target: ".trash/17-1/b2" },
      { kind: "release", uniqueid: "b2" },
    );
    for (let round = 0; round < 2; round++) {
      expect(doSteps(folder, list)).toEqual({ released: ["b2"], unfit: new Map() });
      expect(readFileSync(join(folder, "a1/cyrus.index"), "utf8")).toBe("X1234567abcd");
      expect(readFileSync(join(folder, "a1/cyrus.header"), "utf8")).toBe("header");
      expect(readFileSync(join(folder, "c3/cyrus.header"), "utf8")).toBe("new mailbox");
      expect(readdirSync(join(folder, "a1")).sort()).toEqual(["cyrus.header", "cyrus.index"]);
      expect(existsSync(join(folder, "b2"))).toBe(false);
      expect(existsSync(join(folder, ".trash/17-1/b2"))).toBe(true);
    }
  });

  test("refuses to write into an index of another generation or length", () => {
    const folder = tempDir("journal");
    mkdirSync(join(folder, "a1"));
    const fit = { generation: 3, before: 5, after: 6 };
    const list = steps({
      kind: "write",
      path: "a1/cyrus.index",
      offset: 24,
      bytes: Buffer.from("z"),
      fit,
    });
    for (const [generation, records, fits] of [
      [3, 5, true],
      [3, 6, true],
      [3, 7, false],
      [4, 5, false],
    ] as const) {
      const before = indexHead(generation, records);
      writeFileSync(join(folder, "a1/cyrus.index"), before);
      if (fits) {
        doSteps(folder, list);
        expect(overlay("a1/cyrus.index", before, list)?.[24]).toBe(122);
      } else {
        expect(doSteps(folder, list).unfit.get("a1")).toMatch(
          /generation [34] with [57] records, expected 3/,
        );
        expect(() => overlay("a1/cyrus.index", before, list)).toThrow(/expected 3/);
        expect(readFileSync(join(folder, "a1/cyrus.index"))).toEqual(Buffer.from(before));
      }
    }
  });

  test("reports a folder that is neither at its place nor at its target", () => {
    const folder = tempDir("journal");
    const list = steps({ kind: "move", path: "b2", target: ".trash/1/b2" });
    expect(doSteps(folder, list).unfit.get("a1")).toMatch(/Cannot move to/);
  });

  test("does the steps of others where a mailbox does not take its own", () => {
    const folder = tempDir("journal");
    mkdirSync(join(folder, "b2"));
    const at = (path: string): RedoStep => ({ kind: "replace", path, bytes: Buffer.from("x") });
    const list = [
      ...steps({ kind: "write", path: "a1/cyrus.index", offset: 8, bytes: Buffer.from("abcd") }),
      { uniqueid: "b2", step: at("b2/cyrus.header") },
      ...steps(at("a1/cyrus.header"), { kind: "release", uniqueid: "a1" }),
    ];
    const { unfit, released } = doSteps(folder, list);
    expect([...unfit.keys(), ...released]).toEqual(["a1"]);
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(["b2", "b2/cyrus.header"]);
  });

  test("overlay() shows a reader what replay() will leave, whatever part was done already", () => {
    const write = fc.record({
      kind: fc.constant("write" as const),
      path: fc.constant("f"),
      offset: fc.nat(40),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }),
    });
    const replace = fc.record({
      kind: fc.constant("replace" as const),
      path: fc.constant("f"),
      bytes: fc.uint8Array({ maxLength: 30 }),
    });
    const folder = tempDir("journal");
    property(
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
      fc.array(fc.oneof(write, replace), { maxLength: 6 }),
      fc.nat(6),
      (base, list, done) => {
        const path = join(folder, "f");
        writeFileSync(path, base);
        const expected = overlay("f", base, steps(...list));
        doSteps(folder, steps(...list.slice(0, done)));
        const partly = new Uint8Array(readFileSync(path));
        // A reader may come at any moment: a part of the steps done, and all rows still there.
        if (list.every((step) => step.kind === "write")) {
          expect(Buffer.from(overlay("f", partly, steps(...list)) ?? [])).toEqual(
            Buffer.from(expected ?? []),
          );
        }
        doSteps(folder, steps(...list));
        if (list.every((step) => step.kind === "write") || done === 0) {
          expect(readFileSync(path)).toEqual(Buffer.from(expected ?? []));
        }
      },
    );
  });
});
