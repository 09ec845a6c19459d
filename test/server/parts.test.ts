/** The parts of the server that need no connection. */
import { describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import {
  fakeVerifier,
  isAccountName,
  makeAccount,
  noAccounts,
  parseAccounts,
  printAccounts,
  readAccounts,
  writeAccounts,
} from "../../src/accounts/accounts.ts";
import { AccountsFile } from "../../src/accounts/accounts_file.ts";
import { NOBODYS_HASH } from "../../src/accounts/authenticate.ts";
import { networkOf, SignInGate } from "../../src/accounts/sign_in_gate.ts";
import { AppError } from "../../src/core/errors.ts";
import { makeLog, sinkThatMayFail } from "../../src/core/log.ts";
import { ok } from "../../src/model/outcome.ts";
import type { PlaceSession } from "../../src/places/place.ts";
import { ByteBudget } from "../../src/server/byte_budget.ts";
import { roomIn, roomOf } from "../../src/server/free_space.ts";
import { MemoryWatch } from "../../src/server/memory_watch.ts";
import { IncomingFiles } from "../../src/server/session/incoming_files.ts";
import { inheritedSockets, notifyManager } from "../../src/server/systemd.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("users file", () => {
  test("is written for its owner alone and read back the same", async () => {
    const path = `${tempDir("accounts")}/users`;
    const account = await makeAccount("fred", "a password", ["fred", "shared"]);
    const accounts = { ...noAccounts(), byName: new Map([["fred", account]]) };
    writeAccounts(path, accounts);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).not.toContain("a password");
    expect(printAccounts(readAccounts(path))).toBe(printAccounts(accounts));
    expect(await Bun.password.verify("a password", account.argon2id)).toBe(true);
    expect(account.argon2id).toStartWith(NOBODYS_HASH.slice(0, NOBODYS_HASH.lastIndexOf("=") + 2));
  });

  test("is refused if everybody may read it, is missing, or is malformed", () => {
    const path = `${tempDir("accounts")}/users`;
    expect(() => readAccounts(path)).toThrow(AppError);
    writeAccounts(path, noAccounts());
    chmodSync(path, 0o644);
    expect(() => readAccounts(path)).toThrow(/everybody may read it/);
    const good = printAccounts(noAccounts());
    for (const text of [
      "",
      "{}",
      "[]",
      good.replace("1", "2"),
      good.replace(/"secret": "..../, '"secret": "'),
      good.replace("[]", '[{"name": "x"}]'),
      good.replace("[]", '[{"name": "a b", "allow": [], "argon2id": "", "scram": {}}]'),
      good.replace("[]", "[null]"),
    ]) {
      expect(() => parseAccounts(text, path)).toThrow(AppError);
    }
  });

  test("is read again when it changes, and the last good one stays", async () => {
    const path = `${tempDir("accounts")}/users`;
    writeAccounts(path, noAccounts());
    const lines: string[] = [];
    const log = makeLog({
      sink: (line) => lines.push(line),
      form: "text",
      level: "info",
      now: () => 0,
    });
    const file = new AccountsFile(path, log);
    expect(file.current().byName.size).toBe(0);
    const account = await makeAccount("fred", "pw", ["*"]);
    writeAccounts(path, { ...noAccounts(), byName: new Map([["fred", account]]) });
    expect([...file.current().byName.keys()]).toEqual(["fred"]);
    writeFileSync(path, "broken");
    expect([...file.current().byName.keys()]).toEqual(["fred"]);
    expect(lines.join("\n")).toMatch(
      /error Cannot read users file .*; the accounts of before stay/,
    );
  });

  test("fakeVerifier() gives a name the same salt always, and others another", () => {
    const accounts = noAccounts();
    const salt = (name: string) => Buffer.from(fakeVerifier(name, accounts).salt).toString("hex");
    expect(salt("a")).toBe(salt("a"));
    expect(salt("a")).not.toBe(salt("b"));
    expect(fakeVerifier("a", noAccounts()).salt).not.toEqual(fakeVerifier("a", accounts).salt);
  });

  test("isAccountName() refuses what would confuse a log or a mechanism", () => {
    expect(["anne", "a.b@example.com", "müller"].every(isAccountName)).toBe(true);
    const bad = ["", "a b", "a\n", 'a"', "a\\", "a\u202e", "x".repeat(256), "u\u0308"];
    expect(bad.some(isAccountName)).toBe(false);
  });
});

describe("SignInGate", () => {
  function gate() {
    let now = 0;
    const waits: number[] = [];
    const made = new SignInGate({
      now: () => now,
      sleep: (ms) => {
        waits.push(ms);
        return Promise.resolve();
      },
    });
    const wait = (ms: number) => {
      now += ms;
    };
    return { gate: made, waits, wait };
  }
  const wrong = () => Promise.resolve(false);
  const right = () => Promise.resolve(true);

  test("makes an address wait twice as long after each failure, up to a bound, and forgets", async () => {
    const { gate: one, waits, wait } = gate();
    for (let count = 0; count < 9; count++) await one.pass("10.0.0.1", wrong);
    expect(waits).toEqual([0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    await one.pass("10.0.0.2", wrong);
    expect(waits.at(-1)).toBe(0);
    expect(await one.pass("10.0.0.1", right)).toBe(true);
    await one.pass("10.0.0.1", wrong);
    expect(waits.at(-1)).toBe(0);
    wait(20 * 60_000);
    await one.pass("10.0.0.1", wrong);
    await one.pass("10.0.0.1", wrong);
    expect(waits.at(-1)).toBe(500);
  });

  test("lets two checks run at a time, 64 wait, and turns more away", async () => {
    const { gate: one } = gate();
    let running = 0;
    let most = 0;
    const finish: (() => void)[] = [];
    const slow = async () => {
      running++;
      most = Math.max(most, running);
      await new Promise<void>((resolve) => finish.push(resolve));
      running--;
      return true;
    };
    const results = Array.from({ length: 70 }, (_, index) => one.pass(`10.0.1.${index}`, slow));
    for (let count = 0; count < 200; count++) {
      await Promise.resolve();
      if (count > 20) finish.shift()?.();
    }
    const answers = await Promise.all(results);
    expect(most).toBe(2);
    expect(answers.filter((answer) => answer === undefined)).toHaveLength(4);
    expect(answers.filter((answer) => answer === true)).toHaveLength(66);
  });

  test("guesses that an address sends all at once are checked one after another's wait", async () => {
    let now = 0;
    const checked: number[] = [];
    const one = new SignInGate({
      now: () => now,
      sleep: async (ms) => {
        for (const until = now + ms; now < until; ) {
          await Promise.resolve();
          now += 1;
        }
      },
    });
    const guess = () => {
      checked.push(now);
      return Promise.resolve(false);
    };
    await Promise.all(Array.from({ length: 12 }, () => one.pass("10.0.0.1", guess)));
    // Two run at a time; each failure doubles what all the others wait for.
    expect(checked).toHaveLength(12);
    expect(checked.filter((at) => at === 0).length).toBeLessThanOrEqual(2);
    expect(checked.at(-1)).toBeGreaterThan(60_000);
  });

  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8::6", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
  ])("networkOf(%s) is %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe("log", () => {
  test("lines cannot be forged, and facts stand behind the words", () => {
    const lines: string[] = [];
    const options = {
      sink: (line: string) => lines.push(line),
      level: "info",
      now: () => 0,
    } as const;
    const log = makeLog({ ...options, form: "text" }).with({ peer: "::1" });
    log.write("warning", "Refused\nx error forged", { user: 'a"b\r\n', n: 5n, none: undefined });
    log.write("debug", "not wanted");
    log.write("info", "y".repeat(3000));
    makeLog({ ...options, form: "journal" }).write("error", "Broken", { why: "a b" });
    expect(lines).toEqual([
      '1970-01-01T00:00:00.000Z warning Refused\\u{a}x error forged peer=::1 user="a\\"b\\\\u{d}\\\\u{a}" n=5',
      `1970-01-01T00:00:00.000Z info ${"y".repeat(2000)}… (3000) peer=::1`,
      '<3>Broken why="a b"',
    ]);
  });

  test("a line that cannot be written stops nobody, and is counted in the next that can", () => {
    const lines: string[] = [];
    let isFull = true;
    const sink = sinkThatMayFail((line) => {
      if (isFull) throw Object.assign(new Error("full"), { code: "ENOSPC" });
      lines.push(line);
    });
    sink("a");
    sink("b");
    isFull = false;
    sink("c");
    sink("d");
    expect(lines).toEqual(["c linesLostBefore=2", "d"]);
  });
});

describe("systemd", () => {
  test("inheritedSockets() takes those that are meant for this process", () => {
    const env = { LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "csync:tls" };
    expect(inheritedSockets(env, 7)).toEqual([
      { fd: 3, name: "csync" },
      { fd: 4, name: "tls" },
    ]);
    expect(inheritedSockets(env, 8)).toEqual([]);
    expect(inheritedSockets({ LISTEN_PID: "7", LISTEN_FDS: "x" }, 7)).toEqual([]);
    expect(inheritedSockets({ LISTEN_PID: "7", LISTEN_FDS: "1" }, 7)).toEqual([
      { fd: 3, name: "unknown" },
    ]);
  });

  test("notifyManager() says nothing where nobody listens", () => {
    expect(notifyManager({}, "READY=1")).toBe(false);
    expect(notifyManager({ NOTIFY_SOCKET: "relative" }, "READY=1")).toBe(false);
    expect(notifyManager({ NOTIFY_SOCKET: `/${"x".repeat(200)}` }, "READY=1")).toBe(false);
    expect(notifyManager({ NOTIFY_SOCKET: `${tempDir("notify")}/none` }, "READY=1")).toBe(false);
  });
});

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
  const hasRoom = () => true;
  const start = (size: number) =>
    ({ kind: "fileStart", name: "MESSAGE", partition: "p", guid: `g${size}`, size }) as const;

  test("refuses what is over budget and goes on with what fits", async () => {
    const { calls, session } = noting();
    const [own, shared] = [new ByteBudget(10), new ByteBudget(100)];
    const files = new IncomingFiles(session, { budgets: [own, shared], hasRoom });
    for (const size of [6, 5, 4]) {
      files.take(start(size));
      files.take({ kind: "fileData", bytes: new Uint8Array(size) });
      files.take({ kind: "fileEnd" });
    }
    expect(calls).toEqual(["stage g6", "write 6", "end", "stage g4", "write 4", "end"]);
    expect(await files.finish()).toMatchObject({ kind: "refused", reason: "noSpace" });
    expect(await files.finish()).toMatchObject({ kind: "ok" });
    expect([own.usedBytes, shared.usedBytes]).toEqual([10, 10]);
    files.release();
    expect([own.usedBytes, shared.usedBytes]).toEqual([0, 0]);
  });

  test("gives back what another budget had no room for", () => {
    const [own, shared] = [new ByteBudget(10), new ByteBudget(3)];
    new IncomingFiles(noting().session, { budgets: [own, shared], hasRoom }).take(start(5));
    expect([own.usedBytes, shared.usedBytes]).toEqual([0, 0]);
  });

  test("abort() drops the file that is being written", () => {
    const { calls, session } = noting();
    const files = new IncomingFiles(session, { budgets: [], hasRoom });
    files.take(start(6));
    files.abort();
    files.abort();
    expect(calls).toEqual(["stage g6", "abort"]);
  });
});

describe("MemoryWatch", () => {
  const MIB = 1024 * 1024;
  /** A process that grows by what it takes, and frees all but `keptBytes`. */
  function growing(keptBytes: number) {
    const state = { resident: keptBytes, collections: 0, peak: 0 };
    const watch = new MemoryWatch({
      resident: () => state.resident,
      collect: () => {
        state.collections++;
        state.resident = keptBytes;
      },
    });
    const take = (bytes: number) => {
      for (let at = 0; at < bytes; at += MIB / 16) {
        state.resident += MIB / 16;
        state.peak = Math.max(state.peak, state.resident);
        watch.took(MIB / 16);
      }
    };
    return { state, take };
  }

  test("leaves a small server alone and keeps a busy one small", () => {
    const { state, take } = growing(80 * MIB);
    take(60 * MIB);
    expect(state.collections).toBe(0);
    take(1000 * MIB);
    expect(state.collections).toBeGreaterThan(10);
    expect(state.peak).toBeLessThan(150 * MIB);
  });

  test("collects seldom where nearly all is in use", () => {
    const { state, take } = growing(300 * MIB);
    take(1000 * MIB);
    expect(state.collections).toBeGreaterThan(10);
    expect(state.collections).toBeLessThan(70);
  });
});

describe("roomIn()", () => {
  test("asks the disk now and then, counts what it grants, and asks again before it refuses", () => {
    let [looks, nowMs, free] = [0, 0, 1000];
    const look = () => {
      looks++;
      return { bytes: free, files: 5000 };
    };
    const hasRoom = roomIn(look, { reserveBytes: 100, now: () => nowMs });
    expect([hasRoom(300), hasRoom(300), looks]).toEqual([true, true, 1]);
    free = 400; // what was granted has been written
    expect([hasRoom(301), looks]).toEqual([false, 2]);
    expect([hasRoom(300), looks]).toEqual([true, 2]);
    free = 1000;
    expect([hasRoom(1), looks]).toEqual([true, 3]);
    free = 50; // somebody else has filled the disk
    nowMs += 49;
    expect([hasRoom(1), looks]).toEqual([true, 3]);
    nowMs += 1;
    expect([hasRoom(1), looks]).toEqual([false, 4]);
  });

  test("refuses where the file system can make no more files", () => {
    const hasRoom = roomIn(() => ({ bytes: 1e9, files: 1001 }), { reserveBytes: 0, now: () => 0 });
    expect([hasRoom(1), hasRoom(1), hasRoom(1)]).toEqual([true, true, false]);
  });

  test("knows the file system of a folder", () => {
    const folder = tempDir("room");
    expect([roomOf(folder, 0)(1), roomOf(folder, 2 ** 53)(1)]).toEqual([true, false]);
  });
});
