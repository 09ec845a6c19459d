import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { readFirstLine, readGiven } from "../../src/core/given_file.ts";
import { tempDir } from "../support/temp_dir.ts";

const folder = tempDir("given");
const at = (name: string): string => `${folder}/${name}`;

function pipe(name: string): string {
  expect(Bun.spawnSync(["mkfifo", at(name)]).exitCode).toBe(0);
  return at(name);
}

describe("readGiven()", () => {
  test("reads a file, through a link too", () => {
    writeFileSync(at("file"), "text");
    symlinkSync(at("file"), at("link"));
    for (const name of ["file", "link"]) {
      expect(readGiven(at(name))).toEqual({ bytes: Buffer.from("text") });
    }
  });

  test.each([
    ["a device", () => "/dev/zero", /no regular file/],
    ["a pipe that nobody writes to", () => pipe("lonely"), /no regular file/],
    ["a folder", () => folder, /no regular file/],
    ["nothing", () => at("nothing"), /^ENOENT$/],
    ["below a file", () => at("file/below"), /^ENOTDIR$/],
  ])("says why %s cannot be read", (_, path, why) => {
    expect(readGiven(path())).toMatchObject({ problem: expect.stringMatching(why) });
  });

  test("stops at the limit", () => {
    writeFileSync(at("long"), new Uint8Array(1024 * 1024 + 1));
    expect(readGiven(at("long"))).toEqual({ problem: "it has more than 1048576 bytes" });
    writeFileSync(at("longest"), new Uint8Array(1024 * 1024));
    expect(readGiven(at("longest"))).toMatchObject({ bytes: { length: 1024 * 1024 } });
  });
});

describe("readFirstLine()", () => {
  test("waits for a pipe that has a writer, as `<(…)` of a shell has", async () => {
    const path = pipe("slow");
    const writer = Bun.spawn([
      "sh",
      "-c",
      `exec 3<>"$1"; sleep 0.3; echo one >&3; sleep 5`,
      "sh",
      path,
    ]);
    try {
      // The writer opens the pipe for both, so that it is there before the reader or after it.
      let read = await readFirstLine(path);
      while ("bytes" in read && read.bytes.length === 0) {
        await Bun.sleep(1);
        read = await readFirstLine(path);
      }
      expect(read).toEqual({ bytes: Buffer.from("one\n") });
    } finally {
      writer.kill();
    }
  });

  test("does not wait for a pipe without one, and reads no device", async () => {
    expect(await readFirstLine(pipe("empty"))).toEqual({ bytes: new Uint8Array() });
    expect(await readFirstLine("/dev/zero")).toMatchObject({ problem: expect.any(String) });
    mkdirSync(at("folder"));
    expect(await readFirstLine(at("folder"))).toMatchObject({ problem: expect.any(String) });
  });
});
