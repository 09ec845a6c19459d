import { describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { FormatError } from "../../../src/core/errors.ts";
import {
  parseEntryName,
  parseLinkTarget,
  printEntryName,
} from "../../../src/formats/backup/entry_name.ts";
import {
  parseMailboxAnnotations,
  printMailboxAnnotations,
} from "../../../src/formats/backup/mailbox_annotations.ts";
import { internalOfLink, linkOf } from "../../../src/formats/backup/mailbox_link.ts";
import { parseRunMark, printRunMark, type RunMark } from "../../../src/formats/backup/run_mark.ts";
import type { Owner } from "../../../src/model/names.ts";

const GUID = "45875fc32583b63f11869a8a8700b58e52c1771a";

describe("parseEntryName()", () => {
  test.each([
    [`files/${GUID}`, { kind: "message", guid: GUID }],
    ["folders/l8n8kp/cyrus.index", { kind: "folder", uniqueid: "l8n8kp", name: "index" }],
    ["folders/a-b/cyrus.x-mailbox", { kind: "folder", uniqueid: "a-b", name: "x-mailbox" }],
    ["imap/INBOX.Entw&APw-rfe/", { kind: "link", mailbox: "INBOX.Entw&APw-rfe" }],
    ["meta/sub", { kind: "meta", name: "sub" }],
  ] as const)("takes %s, which is printed again", (name, entry) => {
    expect(parseEntryName(name)).toEqual(entry);
    expect(printEntryName(entry)).toBe(name);
  });

  test.each([
    "files/../../etc/passwd",
    `files/${GUID.toUpperCase()}`,
    `files/${GUID}/x`,
    "folders/../cyrus.index",
    "folders/a/b/cyrus.index",
    "folders/a/index",
    "folders/a/cyrus.",
    "imap/INBOX",
    "imap/Work/Sub/",
    "imap//",
    "meta/",
    "meta/a/b",
    "meta/a\0b",
    "./meta/sub",
    "/meta/sub",
    "",
  ])("takes %p for no entry of a backup", (name) => {
    expect(parseEntryName(name)).toBeUndefined();
  });

  test("reads link targets of 2007 too, and refuses paths", () => {
    expect(["abc", "folders/abc", ""].map(parseLinkTarget)).toEqual(["abc", "abc", ""]);
    expect(["/etc", "../abc", "folders/a/b"].map(parseLinkTarget)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("linkOf()", () => {
  const fred: Owner = { kind: "user", userid: "fred" };
  const anne: Owner = { kind: "user", userid: "anne@example.com" };
  const lists: Owner = { kind: "shared", toplevel: "lists" };
  test.each([
    ["user.fred", fred, "INBOX"],
    ["user.fred.Sub.a^b", fred, "INBOX.Sub.a^b"],
    ["DELETED.user.fred.Sub.5F3A2B1C", fred, "DELETED.user.fred.Sub.5F3A2B1C"],
    ["example.com!user.anne.Sub", anne, "INBOX.Sub"],
    ["example.com!DELETED.user.anne.5F3A2B1C", anne, "DELETED.user.anne.5F3A2B1C"],
    ["lists.dev", lists, "lists.dev"],
  ])("calls %s of its owner what a user sees, which leads back", (internal, owner, link) => {
    expect(linkOf(internal, owner)).toBe(link);
    expect(internalOfLink(link, owner)).toBe(internal);
  });

  test("takes the names of servers with other settings for what they would be", () => {
    expect(internalOfLink("Work.v1", fred)).toBe("user.fred.Work^v1");
    expect(internalOfLink("user.fred.Sub", fred)).toBe("user.fred.Sub");
  });
});

describe("parseRunMark()", () => {
  const mark: RunMark = {
    ...{ began: 1_795_345_419_123, ended: 1_795_345_420_456, source: "cyrus:/etc/imapd.conf" },
    ...{ messages: 3, bytes: 4567, mailboxes: 1, findings: 1, version: "0.1.0" },
    missing: [{ name: "user.fred.Bad", uniqueid: "abc" }, { name: "user.fred.\xe4" }],
    gaps: [{ name: "user.fred", uniqueid: "abc", lastUid: 7, highestmodseq: "9", messages: 2 }],
  };
  test("gives back what printRunMark() printed", () => {
    expect(parseRunMark(printRunMark(mark))).toEqual(mark);
  });
  test.each([
    "",
    "{",
    "[]",
    "null",
    JSON.stringify({ ...mark, ended: "1" }),
    JSON.stringify({ ...mark, bytes: -1 }),
    JSON.stringify({ ...mark, missing: [{ uniqueid: "a" }] }),
    JSON.stringify({ ...mark, gaps: [{ name: "user.fred", uniqueid: "a" }] }),
  ])("throws FormatError for %p", (text) => {
    expect(() => parseRunMark(utf8(text))).toThrow(FormatError);
  });
});

describe("parseMailboxAnnotations()", () => {
  test("gives back what printMailboxAnnotations() printed, in the layout of upstream", () => {
    const annotations = [
      { entry: "/comment", userid: "", modseq: 0n, value: utf8("Grüße") },
      { entry: "/vendor/x", userid: "alice", modseq: 0n, value: utf8("1") },
    ];
    const bytes = printMailboxAnnotations(annotations);
    expect(parseMailboxAnnotations(bytes)).toEqual(annotations);
    expect(Buffer.from(bytes).toString()).toStartWith('[\n  [\n    "/comment",\n    "",\n');
  });
  test.each(["", "{}", "[1]", '[["a","b"]]', '[["a","b",3]]'])("refuses %p", (text) => {
    expect(() => parseMailboxAnnotations(utf8(text))).toThrow(FormatError);
  });
});
