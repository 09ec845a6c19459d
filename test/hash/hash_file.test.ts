import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hexOf } from "../../src/core/bytes.ts";
import { confirmingEngine, type Engine, engineOf } from "../../src/hash/engines.ts";
import { BUFFER_BYTES, type FileHash, hashFile } from "../../src/hash/hash_file.ts";

let folder = "";
const native = await engineOf("native");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bobbin-hash-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function hash(path: string | Buffer, engine: Engine = native): { result: FileHash; sha1: string } {
  const out = new Uint8Array(20);
  const result = hashFile(path, out, { engine });
  return { result, sha1: hexOf(out) };
}

describe("hashFile()", () => {
  test.each([
    0,
    1,
    4096,
    BUFFER_BYTES - 1,
    BUFFER_BYTES,
    BUFFER_BYTES + 1,
    3 * BUFFER_BYTES,
    3 * BUFFER_BYTES + 7,
  ])("hashFile() gives size and SHA-1 of a file of %d bytes on every engine", async (size) => {
    const bytes = new Uint8Array(size).map((_, at) => (at * 7 + (at >>> 9)) & 0xff);
    const path = join(folder, `${size}.`);
    writeFileSync(path, bytes);
    const sha1 = createHash("sha1").update(bytes).digest("hex");
    for (const engine of [native, await engineOf("wasm"), await confirmingEngine()]) {
      const found = hash(path, engine);
      expect(found.sha1).toBe(sha1);
      expect(found.result).toMatchObject({ kind: "hashed", size, stat: { size } });
    }
    expect(hash(Buffer.from(path)).sha1).toBe(sha1);
  });

  test("gives the first part of the file, also when it has read on", () => {
    const path = join(folder, "with head");
    for (const size of [0, 10, BUFFER_BYTES, 2 * BUFFER_BYTES + 10]) {
      const bytes = Buffer.alloc(size, "y").fill("x", 0, Math.min(size, BUFFER_BYTES));
      writeFileSync(path, bytes);
      const { result } = hash(path);
      if (result.kind !== "hashed") throw new Error(result.kind);
      expect(bytes.subarray(0, BUFFER_BYTES).equals(result.head)).toBe(true);
    }
  });

  test("gives missing for a name that is not there", () => {
    expect(hash(join(folder, "absent")).result).toEqual({ kind: "missing" });
    expect(hash(join(folder, "no/such/folder/1.")).result).toEqual({ kind: "missing" });
  });

  test("follows no link, whether it leads somewhere or not", () => {
    writeFileSync(join(folder, "target"), "secret");
    symlinkSync("target", join(folder, "link"));
    symlinkSync("nowhere", join(folder, "dangling"));
    expect(hash(join(folder, "link")).result).toEqual({ kind: "not_regular" });
    expect(hash(join(folder, "dangling")).result).toEqual({ kind: "not_regular" });
    expect(hash(join(folder, "link")).sha1).toBe("00".repeat(20));
  });

  test("gives not_regular for folders, devices, and fifos nobody writes to", () => {
    mkdirSync(join(folder, "folder"));
    expect(Bun.spawnSync(["mkfifo", join(folder, "fifo")]).exitCode).toBe(0);
    expect(hash(join(folder, "folder")).result).toEqual({ kind: "not_regular" });
    expect(hash(join(folder, "fifo")).result).toEqual({ kind: "not_regular" });
    expect(hash("/dev/zero").result).toEqual({ kind: "not_regular" });
  });

  test("gives not_regular for a socket", async () => {
    const path = join(folder, "socket");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    expect(hash(path).result).toEqual({ kind: "not_regular" });
    await new Promise((resolve) => server.close(resolve));
  });

  test("names the errno of what it may not or cannot read", () => {
    const path = join(folder, "regular");
    writeFileSync(path, "x");
    expect(hash(`${path}/1.`).result).toEqual({ kind: "missing" });
    const long = join(folder, "x".repeat(300));
    expect(hash(long).result).toEqual({ kind: "unreadable", errno: "ENAMETOOLONG" });
    // /proc/self/mem is regular, and refuses to be read at 0.
    expect(hash("/proc/self/mem").result).toMatchObject({ kind: "unreadable" });
  });

  test("gives EACCES for a file that this user may not read", () => {
    const path = join(folder, "closed");
    writeFileSync(path, "x");
    chmodSync(folder, 0o755);
    chmodSync(path, 0);
    const quoted = (name: string) => JSON.stringify(join(import.meta.dir, "../../src/hash", name));
    const program = `
      import { hashFile } from ${quoted("hash_file.ts")};
      import { engineOf } from ${quoted("engines.ts")};
      if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
      const engine = await engineOf("native");
      const found = hashFile(${JSON.stringify(path)}, new Uint8Array(20), { engine });
      console.log(JSON.stringify(found));
    `;
    const run = Bun.spawnSync({ cmd: [process.execPath, "-e", program] });
    expect(run.stderr.toString()).toBe("");
    expect(JSON.parse(run.stdout.toString())).toEqual({ kind: "unreadable", errno: "EACCES" });
  });

  test("reads a file that grows meanwhile to its new end", () => {
    const path = join(folder, "growing");
    writeFileSync(path, new Uint8Array(BUFFER_BYTES));
    let grown = false;
    const engine: Engine = {
      ...native,
      sha1Stream: () => {
        const stream = native.sha1Stream();
        return {
          ...stream,
          update: (bytes) => {
            stream.update(bytes);
            if (!grown) appendFileSync(path, "more");
            grown = true;
          },
        };
      },
    };
    const { result, sha1 } = hash(path, engine);
    expect(result).toMatchObject({
      kind: "hashed",
      size: BUFFER_BYTES + 4,
      stat: { size: BUFFER_BYTES },
    });
    const whole = Buffer.concat([new Uint8Array(BUFFER_BYTES), Buffer.from("more")]);
    expect(sha1).toBe(createHash("sha1").update(whole).digest("hex"));
  });

  test("does not read a file larger than any message, and no sparse one", () => {
    const path = join(folder, "sparse");
    writeFileSync(path, "x");
    truncateSync(path, 2 ** 40);
    expect(hash(path).result).toEqual({ kind: "too_large", size: 2 ** 40 });
    writeFileSync(path, "12345");
    const engine = native;
    const out = new Uint8Array(20);
    expect(hashFile(path, out, { engine, maxBytes: 4 })).toEqual({ kind: "too_large", size: 5 });
    expect(hashFile(path, out, { engine, maxBytes: 5 })).toMatchObject({ kind: "hashed", size: 5 });
  });

  test("stops at the limit in a file that is longer than it says", () => {
    // Files of /proc say that they have size 0.
    const out = new Uint8Array(20);
    const found = hashFile("/proc/self/maps", out, { engine: native, maxBytes: 100 });
    expect(found.kind).toBe("too_large");
    expect(hash("/proc/self/maps").result).toMatchObject({ kind: "hashed", stat: { size: 0 } });
  });

  test("leaves no descriptor open, whatever it met", () => {
    const fd = openSync("/dev/null", "r");
    closeSync(fd);
    for (const name of ["1.", "absent", "link", "folder", "fifo", "sparse", "4096."]) {
      hash(join(folder, name));
    }
    const again = openSync("/dev/null", "r");
    closeSync(again);
    // A lower one was closed meanwhile by what ran before.
    expect(again).toBeLessThanOrEqual(fd);
  });
});
