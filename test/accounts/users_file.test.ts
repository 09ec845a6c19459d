import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from "node:fs";
import {
  fakeVerifier,
  isAccountName,
  makeAccount,
  noAccounts,
} from "../../src/accounts/account.ts";
import { NOBODYS_HASH } from "../../src/accounts/authenticate.ts";
import {
  parseAccounts,
  printAccounts,
  readAccounts,
  writeAccounts,
} from "../../src/accounts/users_file.ts";
import { AppError } from "../../src/core/errors.ts";
import { makeLog } from "../../src/core/log.ts";
import { WatchedFiles } from "../../src/core/watched_files.ts";
import { has } from "../support/needs.ts";
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

  test.skipIf(!has("root"))("stays that of its owner where root changes it", () => {
    const path = `${tempDir("accounts")}/users`;
    writeAccounts(path, noAccounts());
    expect(statSync(path).uid).toBe(0);
    chownSync(path, 65_534, 65_533);
    writeAccounts(path, noAccounts());
    const { uid, gid, mode } = statSync(path);
    expect([uid, gid, mode & 0o777]).toEqual([65_534, 65_533, 0o600]);
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
    const file = new WatchedFiles({
      ...{ paths: [path], what: "users file", log },
      read: () => readAccounts(path),
    });
    expect(file.current().byName.size).toBe(0);
    const account = await makeAccount("fred", "pw", ["*"]);
    writeAccounts(path, { ...noAccounts(), byName: new Map([["fred", account]]) });
    expect([...file.current().byName.keys()]).toEqual(["fred"]);
    writeFileSync(path, "broken");
    expect([...file.current().byName.keys()]).toEqual(["fred"]);
    expect(lines.join("\n")).toMatch(
      /error Cannot read users file .*; the users file of before stays/,
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
