import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseLocator, parsePlace } from "../../src/places/locator.ts";
import { parseSyncAddress, printSyncAddress } from "../../src/places/sync_address.ts";
import { tempDir } from "../support/temp_dir.ts";

describe("parseSyncAddress()", () => {
  test("reads scheme, user, host and port, and the port of the scheme without one", () => {
    const table: [string, string][] = [
      ["sync://admin@mail.example.com", "sync://admin@mail.example.com:2005"],
      ["syncs://admin@mail:9", "syncs://admin@mail:9"],
      ["imap://admin@mail", "imap://admin@mail:143"],
      ["imaps://admin@mail/", "imaps://admin@mail:993"],
      ["sync://a%40b@[::1]:2006", "sync://a%40b@[::1]:2006"],
    ];
    for (const [text, printed] of table) {
      expect(printSyncAddress(parseSyncAddress(text))).toBe(printed);
    }
    expect(parseSyncAddress("sync://a%40b@[::1]")).toMatchObject({ user: "a@b", host: "::1" });
  });

  test("refuses passwords without showing them, and what is no address", () => {
    expect(() => parseSyncAddress("sync://admin:hunter2@mail")).toThrow(/password must not stand/);
    for (const place of [
      ...[
        "sync://admin:hunter2@mail",
        "sync://admin:/hunter2@mail",
        "syncs://admin:p@hunter2@mail",
      ],
      ...["imap://admin:p:hunter2@mail:x", "smtp://admin:hunter2@mail"],
    ]) {
      expect(() => parsePlace(place)).toThrow(/:…@mail/);
      expect(() => parsePlace(place)).not.toThrow(/hunter2/);
    }
    for (const text of [
      ...["sync://mail", "sync://@mail", "sync://a@", "sync://a@mail:0", "sync://a@mail:70000"],
      ...["sync://a@mail/x", "smtp://a@mail", "sync://%zz@mail", "sync://a@ma il"],
    ]) {
      expect(() => parseSyncAddress(text)).toThrow(/not an address/);
    }
  });

  test("parsePlace() knows servers and dumps from paths", () => {
    expect(parsePlace("dump:-")).toEqual({ kind: "dump", path: "-" });
    expect(parsePlace("dump:/not/there")).toEqual({ kind: "dump", path: "/not/there" });
    expect(() => parsePlace("dump:")).toThrow(/the path is empty/);
    expect(parsePlace("sync://a@h:1")).toEqual({
      kind: "sync",
      address: { flavour: "csync", isTls: false, user: "a", host: "h", port: 1 },
    });
    expect(() => parsePlace("smtp:x")).toThrow(/no kind of place is called smtp/);
  });
});

describe("a bare path", () => {
  const root = tempDir("bare");
  const put = (name: string, text = ""): string => {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  const data = put("backups/a/ann/backupdata-1700000000.tar.gz");
  put("backups/shared/l/lists/backupdata-1700000000.tar.gz");
  put("shared/shared/l/lists/backupdata-1700000000.tar.gz");
  put("upstream/ann@example.com/backupdata-1700000000.tar");
  put("store/bobbin.json");
  put("store/a/ann/backupdata-1700000000.tar.gz");
  put("spool/a/user/ann/cyrus.header");
  put("mailbox/cyrus.index");
  put("mailbox/backupdata-1.tar");
  put("ann.dlist", "DUMP %(VERSION 1)\r\n");
  put("imapd.conf", "configdirectory: /var/lib/cyrus\n");
  mkdirSync(join(root, "empty"));

  test.each([
    ["backups", "backup"],
    ["backups/a/ann", "backup"],
    ["backups@2026-11-20", "backup"],
    ["shared", "backup"],
    ["upstream", "backup"],
    ["upstream/ann@example.com", "backup"],
    ["store", "store"],
    ["spool", "cyrus"],
    ["mailbox", "cyrus"],
    ["empty", "cyrus"],
    ["ann.dlist", "dump"],
    ["imapd.conf", "cyrus"],
  ])("%s is recognised as a %s place by what lies there", (name, kind) => {
    const [path, at] = join(root, name).split("@2026");
    const moment = at === undefined ? {} : { at: Date.parse("2026-11-20") };
    expect(parsePlace(join(root, name))).toMatchObject({ kind, path, ...moment });
    const asScheme = parsePlace(`${kind}:${join(root, name)}`);
    expect(parsePlace(join(root, name))).toEqual(asScheme);
  });

  test("is told from what is a part of an archive, is not there, or cannot be used", () => {
    expect(() => parsePlace(data)).toThrow(/a part of an archive/);
    expect(() => parsePlace(join(root, "backups/b"))).toThrow(/Cannot find place/);
    expect(() => parsePlace(join(root, "empty@2026-11-20"))).toThrow(/Cannot find place/);
    expect(() => parseLocator(join(root, "backups"))).toThrow(/a backup is no store and no spool/);
  });
});
