import { describe, expect, test } from "bun:test";
import { parsePlace } from "../../src/places/locator.ts";
import { parseSyncAddress, printSyncAddress } from "../../src/places/sync_address.ts";

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
