import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { concat, equalBytes, fromLatin1, latin1 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../../src/core/limits.ts";
import {
  BLANK_HEADER_FILE,
  type HeaderFile,
  parseHeaderFile,
  printHeaderFile,
} from "../../../src/formats/cyrus/header_file.ts";
import { parseIndexHeader } from "../../../src/formats/cyrus/index/index_header.ts";
import { dlistList, dlistString, NIL } from "../../../src/formats/dlist/value.ts";
import { crc32 } from "../../../src/hash/crc32.ts";
import { parseAcl } from "../../../src/model/acl.ts";
import { fixturePath } from "../../support/fixtures.ts";
import { goldenMailboxes, mailboxFile } from "../../support/golden_mailboxes.ts";
import { examinedMailboxes } from "../../support/mbexamine.ts";
import { property } from "../../support/property.ts";

const golden = goldenMailboxes();
const MAGIC = printHeaderFile({ ...BLANK_HEADER_FILE, form: "text" }).slice(0, -3);

/** The bytes of a cyrus.header whose text behind the magic is `text`. */
function headerFile(text: string): Uint8Array {
  return concat([MAGIC, fromLatin1(text)]);
}

function outcomeOf(bytes: Uint8Array): "read" | "refused" | "a crash" {
  try {
    parseHeaderFile(bytes);
    return "read";
  } catch (error) {
    return error instanceof FormatError ? "refused" : "a crash";
  }
}

function textOf(header: HeaderFile): string {
  return latin1(printHeaderFile(header).subarray(MAGIC.length));
}

describe("parseHeaderFile()", () => {
  test("reads both forms, as found in real mailboxes", () => {
    const forms = golden.map(
      (mailbox) => parseHeaderFile(mailboxFile(mailbox, "cyrus.header")).form,
    );
    expect(new Set(forms)).toEqual(new Set(["dlist", "text"]));
  });

  test.each([
    "index-versions",
    "index-versions-master",
    "conversations-3.6",
    "uuid-paths-3.12",
    "uuid-paths-master",
  ])("says of %s what mbexamine says", (name) => {
    for (const expected of examinedMailboxes(name)) {
      const mailbox = golden.find((one) => one.archive === name && one.folder === expected.folder);
      const header = parseHeaderFile(mailboxFile(mailbox ?? expect.unreachable(), "cyrus.header"));
      expect(header.uniqueid).toBe(expected.uniqueid);
      expect(header.acl).toBe(expected.acl);
      // mbexamine stops at the first slot not in use.
      const used = header.userFlags.indexOf(undefined);
      const shown = used < 0 ? header.userFlags : header.userFlags.slice(0, used);
      expect(shown.join(" ") || "[none]").toBe(expected.userFlags);
    }
  });

  test.each(["uuid-paths-3.12", "uuid-paths-master"])(
    "gives name, type, uniqueid and ACL of %s as mailboxes.db has them",
    (name) => {
      type Entry = { name: string; mbtype: string; acl: Record<string, string>; jmapId?: string };
      const path = fixturePath(`cyrus-spools/${name}.mailboxes.json`);
      const entries: Record<string, Entry & { uniqueid: string }> = JSON.parse(
        readFileSync(path, "utf8"),
      );
      const headers = golden
        .filter(({ archive }) => archive === name)
        .map((mailbox) => parseHeaderFile(mailboxFile(mailbox, "cyrus.header")));
      let compared = 0;
      for (const header of headers) {
        const entry = Object.values(entries).find(
          ({ uniqueid, mbtype }) => uniqueid === header.uniqueid && !mbtype.includes("d"),
        );
        if (entry === undefined) continue;
        expect(header).toMatchObject({ name: entry.name, type: entry.mbtype });
        expect(header.jmapid ?? undefined).toBe(entry.jmapId);
        const acl = (parseAcl(header.acl ?? "") ?? []).map(({ identifier, rights }) => [
          identifier,
          rights,
        ]);
        expect(Object.fromEntries(acl)).toEqual(entry.acl);
        compared += 1;
      }
      expect(compared).toBeGreaterThan(10);
    },
  );

  test("reads the old text form: slots by position, quota root and uniqueid by their TAB", () => {
    const header = parseHeaderFile(headerFile("user.fred\tabc-1\n$a  b\nfred\tlrs\tanyone\tl\t\n"));
    expect(header).toEqual({
      ...BLANK_HEADER_FILE,
      form: "text",
      quotaroot: "user.fred",
      uniqueid: "abc-1",
      userFlags: ["$a", undefined, "b"],
      acl: "fred\tlrs\tanyone\tl\t",
    });
  });

  test("reads an ancient header without a uniqueid, and one without a quota root", () => {
    expect(parseHeaderFile(headerFile("root\n\n\n"))).toMatchObject({ quotaroot: "root", acl: "" });
    expect(parseHeaderFile(headerFile("root\n\n\n")).uniqueid).toBeUndefined();
    expect(parseHeaderFile(headerFile("\tid\n\n\n"))).toMatchObject({ uniqueid: "id" });
    expect(parseHeaderFile(headerFile("\tid\n\n\n")).quotaroot).toBeUndefined();
  });

  test("tells NIL from a key that is not there, and keeps keys it does not know", () => {
    const header = parseHeaderFile(
      headerFile('%(T e N NIL I "a b" XHISTORY (user.old 17) U (x NIL "NIL") Z NIL)\n'),
    );
    expect(header).toMatchObject({ type: "e", name: null, uniqueid: "a b", acl: undefined });
    expect(header.jmapid).toBeUndefined();
    expect(header.userFlags).toEqual(["x", undefined, "NIL"]);
    expect(header.others.map(({ name }) => name)).toEqual(["XHISTORY", "Z"]);
    expect(header.others[0]?.value.kind).toBe("list");
  });

  test("reads literals, which Cyrus writes and does not read", () => {
    expect(parseHeaderFile(headerFile("%(I {3+}\r\na\nb)\n")).uniqueid).toBe("a\nb");
  });

  test("keeps what stands behind the part that Cyrus reads", () => {
    for (const text of ["\tid\n\n\nmore\n", "%(I id)\nmore\n"]) {
      const header = parseHeaderFile(headerFile(text));
      expect(latin1(header.trailer)).toBe("more\n");
      expect(textOf(header)).toBe(text);
    }
  });

  test.each([
    ["", "a line end"],
    ["\tid\n", "a line end"],
    ["\tid\n\n", "a line end"],
    ["root\t\n\n\n", "a quota root and a uniqueid"],
    ["root\tid\tmore\n\n\n", "a quota root and a uniqueid"],
    ["%", "the rest of the dlist"],
    ["%(I id", "the rest of the dlist"],
    ["%(I id)", "a line end"],
    ["%(I id) \n", "a line end"],
    ["%(I (a b))\n", "I as a string"],
    ["%(A (a b))\n", "A as a kvlist"],
    ["%(U %(a b))\n", "U as a list"],
    ["%{a 92d3b70197cb37afc4a8c9dcbcf685c9596d8abc 0}\r\n\n", "the rest of the dlist"],
  ])("refuses %j", (text, expected) => {
    expect(() => parseHeaderFile(headerFile(text))).toThrow(FormatError);
    expect(() => parseHeaderFile(headerFile(text))).toThrow(expected);
  });

  test("says at which byte of the file it stopped", () => {
    const at = (text: string) => {
      try {
        parseHeaderFile(headerFile(text));
      } catch (error) {
        if (error instanceof FormatError) return error.offset - MAGIC.length;
      }
      return expect.unreachable();
    };
    expect(at("%(I id) \n")).toBe(7);
    expect(at("%(I id))")).toBe(7);
    expect(at("%(I % )")).toBe(5);
  });

  test("refuses every byte of the magic that is not as it must be", () => {
    const whole = headerFile("\tid\n\n\n");
    for (let at = 0; at < MAGIC.length; at++) {
      const flipped = whole.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(() => parseHeaderFile(flipped)).toThrow(
        `the magic bytes of cyrus.header at byte ${at}`,
      );
      expect(() => parseHeaderFile(whole.subarray(0, at))).toThrow(FormatError);
    }
  });

  test("stops at the limits: file size, nesting", () => {
    const limits = { ...DEFAULT_LIMITS, headerFileBytes: 200 };
    expect(() => parseHeaderFile(headerFile("x".repeat(200)), limits)).toThrow("the end of");
    const deep = `%(X ${"(".repeat(100_000)}`;
    expect(() => parseHeaderFile(headerFile(deep))).toThrow(FormatError);
  });

  test("reads 10,000 flag names", () => {
    const names = Array.from({ length: 10_000 }, (_, slot) => `flag${slot}`);
    expect(parseHeaderFile(headerFile(`\tid\n${names.join(" ")}\n\n`)).userFlags).toEqual(names);
    expect(parseHeaderFile(headerFile(`%(U (${names.join(" ")}))\n`)).userFlags).toEqual(names);
  });

  test("takes every flip and truncation of real files: a value or a FormatError", () => {
    const forms = ["text", "dlist"].map((form) =>
      golden
        .map((mailbox) => mailboxFile(mailbox, "cyrus.header"))
        .find((bytes) => {
          const { form: found, userFlags } = parseHeaderFile(bytes);
          return found === form && (form === "text" || userFlags.length > 2);
        }),
    );
    for (const found of forms) {
      const bytes = found ?? expect.unreachable();
      for (let at = MAGIC.length; at < bytes.length; at++) {
        for (const mask of [0x01, 0x10, 0x80, 0xff]) {
          const flipped = bytes.slice();
          flipped[at] = (flipped[at] ?? 0) ^ mask;
          expect(outcomeOf(flipped)).not.toBe("a crash");
        }
        expect(outcomeOf(bytes.subarray(0, at))).toBe("refused");
      }
    }
  });

  test("throws nothing but FormatError on random bytes", () => {
    const pieces = fc.array(
      fc.constantFrom(
        ...'%(){}+"\\\t\n\r TNIJQAU1,x\xff\0',
        "NIL",
        "%(",
        "\n\n",
        "{3}\r\n",
        "\\\\",
      ),
      { maxLength: 40 },
    );
    property(pieces, fc.constantFrom("", "%("), (parts, start) => {
      try {
        const header = parseHeaderFile(headerFile(start + parts.join("")));
        expect(header.userFlags.length).toBeGreaterThanOrEqual(0);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    });
  });
});

describe("printHeaderFile()", () => {
  test("gives every real cyrus.header back byte for byte", () => {
    expect(golden.length).toBeGreaterThan(150);
    for (const mailbox of golden) {
      const bytes = mailboxFile(mailbox, "cyrus.header");
      expect(equalBytes(printHeaderFile(parseHeaderFile(bytes)), bytes)).toBe(true);
    }
  });

  test("gives bytes whose checksum is the index header's", () => {
    let recorded = 0;
    for (const mailbox of golden) {
      const { headerFileCrc } = parseIndexHeader(mailboxFile(mailbox, "cyrus.index"));
      if (headerFileCrc === 0) continue; // not recorded
      const header = parseHeaderFile(mailboxFile(mailbox, "cyrus.header"));
      expect(crc32(printHeaderFile(header))).toBe(headerFileCrc);
      recorded += 1;
    }
    expect(recorded).toBeGreaterThan(150);
  });

  test("quotes what Cyrus would print as a literal and could not read", () => {
    const userFlags = ['q"t', "t\xf6do", "\\odd", "NIL", "x)", "%", "a b", "", "{3}"];
    const text = textOf({ ...BLANK_HEADER_FILE, uniqueid: "id", userFlags, acl: "w%e\tlr\t" });
    // Read back by mbexamine of 3.6.1, as is; with a literal in it, it refuses the mailbox.
    expect(text).toBe(
      '%(I id A %("w%e" lr) U ("q\\"t" "t\xf6do" "\\\\odd" "NIL" "x)" "%" "a b" "" "{3}"))\n',
    );
    expect(parseHeaderFile(headerFile(text)).userFlags).toEqual(userFlags.map((name) => name));
  });

  test("writes a name history behind what Cyrus knows", () => {
    const history = dlistList([dlistString("user.old"), dlistString("1700000000"), NIL]);
    const others = [{ name: "XHISTORY", value: history }];
    const header = { ...BLANK_HEADER_FILE, type: "e", name: "user.new", uniqueid: "id", others };
    expect(textOf(header)).toBe("%(T e N user.new I id XHISTORY (user.old 1700000000 NIL))\n");
    expect(parseHeaderFile(printHeaderFile(header))).toEqual(header);
  });

  test("prints a text header in dlist form and back", () => {
    const old = parseHeaderFile(headerFile("\tid\n$a  b\nfred\tlrs\t-anyone\tl\t\n"));
    const text = textOf({ ...old, form: "dlist" });
    expect(text).toBe("%(I id A %(fred lrs -anyone l) U ($a NIL b))\n");
    expect(textOf({ ...parseHeaderFile(headerFile(text)), form: "text" })).toBe(
      "\tid\n$a  b\nfred\tlrs\t-anyone\tl\t\n",
    );
  });

  test.each([
    [{ form: "dlist", userFlags: ["a\nb"] }],
    [{ form: "dlist", userFlags: ["a\rb"] }],
    [{ form: "dlist", name: "a\0b" }],
    [{ form: "dlist", acl: "fr\ned\tlrs\t" }],
    [{ form: "dlist", acl: "fred" }],
    [{ form: "dlist", acl: "\tlrs\t" }],
    [{ form: "text", userFlags: ["a b"] }],
    [{ form: "text", userFlags: ["a\nb"] }],
    [{ form: "text", uniqueid: "a\tb" }],
    [{ form: "text", quotaroot: "a\nb" }],
    [{ form: "text", acl: "fr\ned\tlrs\t" }],
  ] satisfies [Partial<HeaderFile>][])("refuses what the form cannot hold: %j", (change) => {
    expect(() => printHeaderFile({ ...BLANK_HEADER_FILE, ...change })).toThrow(FormatError);
  });

  test("prints what parseHeaderFile() reads, in both forms", () => {
    const chars = [...'abz019.-_$%\\"(){}*\x01\x7f\xe4\xff'];
    const word = fc.string({ unit: fc.constantFrom(...chars), minLength: 1, maxLength: 12 });
    const spaced = fc.string({ unit: fc.constantFrom(...chars, " ", "\t"), maxLength: 12 });
    const acl = fc
      .array(fc.tuple(word, word), { maxLength: 4 })
      .map((entries) => entries.map(([who, rights]) => `${who}\t${rights}\t`).join(""));
    const slots = fc
      .array(fc.option(word, { nil: undefined, freq: 3 }), { maxLength: 5 })
      .map((names) => [...names, "last"]);
    const name = fc.option(spaced, { nil: null });
    const dlist = fc.record({
      ...{ type: name, name, uniqueid: name, jmapid: name, quotaroot: name },
      acl: fc.option(acl, { nil: undefined }),
      userFlags: slots,
    });
    property(dlist, (values) => {
      const header = { ...BLANK_HEADER_FILE, ...values };
      expect(parseHeaderFile(printHeaderFile(header))).toEqual(header);
    });
    const text = fc.record({ quotaroot: word, uniqueid: word, acl, userFlags: slots });
    property(text, (values) => {
      fc.pre(!values.quotaroot.startsWith("%"));
      const header = { ...BLANK_HEADER_FILE, form: "text" as const, ...values };
      expect(parseHeaderFile(printHeaderFile(header))).toEqual(header);
    });
  });
});
