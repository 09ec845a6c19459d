import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { latin1, utf8 } from "../../../src/core/bytes.ts";
import { AppError } from "../../../src/core/errors.ts";
import { isUniqueid } from "../../../src/model/mailbox.ts";
import { mailboxFolder, ownerFolder, poolPath } from "../../../src/places/store/layout.ts";
import { folderName, nameOfFolder } from "../../../src/storage/folder_name.ts";

describe("folderName()", () => {
  const table: [string, string][] = [
    ["fred", "fred"],
    ["fred@example.com", "fred@example.com"],
    ["a.b", "a.b"],
    [".hidden", "%2Ehidden"],
    ["..", "%2E."],
    ["a/b", "a%2Fb"],
    ["../../etc", "%2E.%2F..%2Fetc"],
    ["100%", "100%25"],
    ["%41", "%2541"],
    ["Fred", "%46red"],
    [latin1(utf8("jörg")), "j%C3%B6rg"],
    ["a b", "a%20b"],
    ["a^b", "a%5Eb"],
  ];
  for (const [name, folder] of table) {
    test(`makes ${folder} of ${name}`, () => {
      expect(folderName(name)).toBe(folder);
      expect(nameOfFolder(folder)).toBe(name);
    });
  }

  test("keeps 255 plain bytes and shortens what would be longer", () => {
    expect(folderName("a".repeat(255))).toBe("a".repeat(255));
    const long = folderName("\xc3\xa9".repeat(120)); // 240 bytes, 720 once escaped
    expect(long.length).toBeLessThanOrEqual(255);
    expect(long).toMatch(/^(%C3%A9)+(%C3)?%~[0-9a-f]{40}$/);
    expect(nameOfFolder(long)).toBeUndefined();
  });

  test("tells long names apart by every byte", () => {
    const start = "\xc3\xa9".repeat(119);
    expect(folderName(`${start}ab`)).not.toBe(folderName(`${start}ac`));
  });

  test("refuses an empty name, NUL, 491 bytes and what is not latin1", () => {
    for (const name of ["", "a\0b", "a".repeat(491), "\u20ac"])
      expect(() => folderName(name)).toThrow(AppError);
  });

  test("gives one safe path component, another for each name", () => {
    const bytes = fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte));
    const names = fc.string({ minLength: 1, maxLength: 80, unit: bytes });
    fc.assert(
      fc.property(names, names, (left, right) => {
        const folder = folderName(left);
        expect(folder).toMatch(/^(?!\.)[a-z0-9@+_.%A-F~-]{1,255}$/);
        expect(folder === folderName(right)).toBe(left === right);
      }),
      { seed: 4, numRuns: 300 },
    );
  });
});

describe("ownerFolder()", () => {
  test("puts a first letter between, q for what is none", () => {
    expect(ownerFolder({ kind: "user", userid: "fred@example.com" }, true)).toBe(
      "user/f/fred@example.com",
    );
    expect(ownerFolder({ kind: "user", userid: "7up" }, true)).toBe("user/q/7up");
    expect(ownerFolder({ kind: "shared", toplevel: "lists" }, true)).toBe("shared/l/lists");
    expect(ownerFolder({ kind: "shared", toplevel: "lists" }, false)).toBe("shared/lists");
  });
});

describe("mailboxFolder()", () => {
  test("takes Cyrus' uniqueids and nothing that could be another path", () => {
    const good = [
      "0123456789abcdef",
      "44b8a0ce-9d8c-4c6a-b5b4-4e7ba4e02dbb",
      "k4d3jf8h2k4d3jf8h2k4d3jf",
    ];
    for (const uniqueid of good) expect(mailboxFolder(uniqueid)).toBe(uniqueid);
    const bad = ["", "..", ".pool", "a/b", "-a", "a".repeat(65), "a\0", "a\n", "ä", "a.b"];
    for (const uniqueid of bad) {
      expect(isUniqueid(uniqueid)).toBe(false);
      expect(() => mailboxFolder(uniqueid)).toThrow(/uniqueid/);
    }
  });

  test("poolPath() takes 40 lower-case hex digits only", () => {
    expect(poolPath("3fa9".padEnd(40, "0"))).toBe(`.pool/3f/${"3fa9".padEnd(40, "0")}`);
    for (const guid of ["", "../x", "A".repeat(40), "0".repeat(39)])
      expect(() => poolPath(guid)).toThrow(AppError);
  });
});
