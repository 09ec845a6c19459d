import { describe, expect, test } from "bun:test";
import { utf8 } from "../../src/core/bytes.ts";
import { AppError } from "../../src/core/errors.ts";
import type { FileParts } from "../../src/core/file_source.ts";
import {
  type MessageAnnotation,
  printMessageAnnotation,
} from "../../src/formats/cyrus/annotations_db.ts";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import { AnnotationImage, readAnnotations } from "../../src/mailbox/annotation_image.ts";
import { type FileStep, fitProblem } from "../../src/mailbox/file_step.ts";

const PATH = "id/cyrus.annotations";

/**
 * What a peer sends that knows the nanoseconds of a message and the thread that it was split from.
 */
function annotations(uid: number, nsec = uid): MessageAnnotation[] {
  const prefix = "/vendor/cmu/cyrus-imapd/";
  const one = { uid, userid: "", modseq: 0n, deleted: false };
  return [
    { ...one, entry: `${prefix}basethrid`, value: utf8(uid.toString(16).padStart(16, "0")) },
    { ...one, entry: `${prefix}internaldate.nsec`, value: utf8(`${nsec}`) },
  ];
}

function fileOf(count: number): Uint8Array {
  const all = Array.from({ length: count }, (_, at) => annotations(at + 1)).flat();
  return writeTwoskip(all.map(printMessageAnnotation), { generation: 4n });
}

function partsOf(bytes: Uint8Array): { source: FileParts; bytesRead: () => number } {
  let sum = 0;
  const read = (offset: number, length: number): Uint8Array => {
    sum += length;
    return bytes.subarray(offset, offset + length);
  };
  return { source: { size: bytes.length, read }, bytesRead: () => sum };
}

/** The file after `steps`, each of which must fit it. */
function after(bytes: Uint8Array, steps: readonly FileStep[]): Uint8Array {
  let result = bytes.slice();
  for (const step of steps) {
    expect(step.path).toBe(PATH);
    if (step.kind === "replace") {
      result = step.bytes.slice();
      continue;
    }
    const { fit, offset } = step;
    expect(fit && fitProblem(PATH, result, fit)).toBeUndefined();
    const grown = new Uint8Array(Math.max(result.length, offset + step.bytes.length));
    grown.set(result);
    grown.set(step.bytes, offset);
    result = grown;
  }
  return result;
}

function sizeOf(steps: readonly FileStep[]): number {
  return steps.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function read(bytes: Uint8Array) {
  const reading = readAnnotations(bytes);
  if (reading.kind !== "read") return expect.unreachable();
  expect(reading.problems).toEqual([]);
  return reading.byUid;
}

describe("AnnotationImage", () => {
  test("writes and reads as much for a new message among 10,000 as among 1,000", () => {
    const costs = [1_000, 10_000].map((count) => {
      const bytes = fileOf(count);
      const { source, bytesRead } = partsOf(bytes);
      const image = new AnnotationImage(source, PATH);
      image.set(count + 1, annotations(count + 1));
      const steps = image.steps(PATH);
      const found = read(after(bytes, steps));
      expect(found.size).toBe(count + 1);
      expect(found.get(count + 1)).toEqual(annotations(count + 1));
      return { written: sizeOf(steps), read: bytesRead() };
    });
    for (const cost of costs) {
      expect(cost.written).toBeLessThan(3_000);
      expect(cost.read).toBeLessThan(80_000);
    }
  });

  test("holds what a thousand deliveries brought, one by one", () => {
    let bytes = fileOf(400);
    for (let uid = 401; uid <= 1_400; uid++) {
      const image = new AnnotationImage(partsOf(bytes).source, PATH);
      image.set(uid, annotations(uid));
      bytes = after(bytes, image.steps(PATH));
    }
    const found = read(bytes);
    expect(found.size).toBe(1_400);
    for (const [uid, own] of found) expect(own).toEqual(annotations(uid));
  });

  test("has nothing to do where a record is put with the annotations that it had", () => {
    const image = new AnnotationImage(fileOf(300), PATH);
    image.set(7, annotations(7));
    image.set(999, []);
    expect(image.steps(PATH)).toEqual([]);
  });

  test("changes and removes in place, until most of the file may be what was replaced", () => {
    let bytes = fileOf(500);
    const first = bytes.length;
    let rewritten = 0;
    for (let round = 1; round <= 40; round++) {
      const image = new AnnotationImage(partsOf(bytes).source, PATH);
      for (let uid = 1; uid <= 50; uid++) image.set(uid, annotations(uid, round * 1000 + uid));
      image.set(round + 100, []);
      const steps = image.steps(PATH);
      if (steps[0]?.kind === "replace") rewritten += 1;
      bytes = after(bytes, steps);
      const found = read(bytes);
      expect(found.size).toBe(500 - round);
      expect(found.get(20)).toEqual(annotations(20, round * 1000 + 20));
    }
    expect(rewritten).toBeGreaterThan(0);
    expect(rewritten).toBeLessThan(5);
    expect(bytes.length).toBeLessThan(3 * first + 20_000);
  });

  test("makes a file where there is none, and ends a transaction under way", () => {
    const none = new AnnotationImage(undefined, PATH);
    none.set(3, annotations(3));
    const made = after(new Uint8Array(), none.steps(PATH));
    expect([...read(made).keys()]).toEqual([3]);
    const image = new AnnotationImage(made, PATH);
    image.set(4, annotations(4));
    const cut = after(made, image.steps(PATH).slice(0, -1));
    const again = new AnnotationImage(cut, PATH);
    expect(again.of(4)).toEqual([]);
    again.set(5, annotations(5));
    const steps = again.steps(PATH);
    expect(steps.map(({ kind }) => kind)).toEqual(["replace"]);
    expect([...read(after(cut, steps)).keys()]).toEqual([3, 5]);
  });

  test("refuses a damaged file, in parts too", () => {
    const bytes = fileOf(1_000);
    for (let at = 400; at < bytes.length; at += 8) bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    for (const source of [bytes, partsOf(bytes).source]) {
      const image = new AnnotationImage(source, PATH);
      expect(() => image.of(500)).toThrow(AppError);
    }
  });

  test("gives all messages after reading the file little more than once", () => {
    const bytes = fileOf(5_000);
    const { source, bytesRead } = partsOf(bytes);
    const image = new AnnotationImage(source, PATH);
    for (let uid = 1; uid <= 5_000; uid++) expect(image.of(uid)).toEqual(annotations(uid));
    expect(bytesRead()).toBeLessThan(bytes.length * 2);
  });
});
