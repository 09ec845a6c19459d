/** Files of messages: where they lie, whatever a mailbox is called, and that none is lost. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "../../../src/core/bytes.ts";
import { emlFolder, mboxFile } from "../../../src/places/mail_files/message_sink.ts";
import { message, record } from "../../support/store_fixture.ts";
import { tempDir } from "../../support/temp_dir.ts";

describe("emlFolder()", () => {
  test("keeps every name below its folder", () => {
    const root = tempDir("eml");
    const sink = emlFolder(join(root, "mail"));
    const names = ["user.fred", "user.fred.^^", "user.fred.^", "user.fred.^^.a", "lists.50%2E"];
    for (const name of names) sink.put(name, record(7), message(7));
    sink.close();
    const folders = ["user/fred", "user/fred/%2E.", "user/fred/%2E", "user/fred/%2E./a"];
    const found = readdirSync(root, { recursive: true, encoding: "utf8" });
    const files = found.filter((name) => name.endsWith(".eml")).sort();
    expect(files).toEqual(
      [...folders, "lists/50%252E"].map((folder) => `mail/${folder}/7.eml`).sort(),
    );
    expect(readFileSync(join(root, "mail/user/fred/7.eml"))).toEqual(Buffer.from(message(7)));
  });

  test("takes no folder with anything in it, no file, and writes no message twice", () => {
    const root = tempDir("eml");
    expect(() => emlFolder(join(root, ".."))).toThrow("is not empty");
    writeFileSync(join(root, "file"), "");
    expect(() => emlFolder(join(root, "file"))).toThrow("there already");
    const sink = emlFolder(join(root, "mail"));
    sink.put("user.fred", record(1), message(1));
    expect(() => sink.put("user.fred", record(1), message(2))).toThrow("EEXIST");
    expect(readFileSync(join(root, "mail/user/fred/1.eml"))).toEqual(Buffer.from(message(1)));
    sink.close();
  });
});

describe("mboxFile()", () => {
  test("takes one mailbox, follows no link, and leaves no empty file", () => {
    const root = tempDir("mbox");
    const path = join(root, "box");
    mboxFile(path).close();
    expect(readdirSync(root)).toEqual([]);
    symlinkSync(join(root, "elsewhere"), path);
    expect(() => mboxFile(path)).toThrow("Cannot write");
    mkdirSync(join(root, "folder"));
    expect(() => mboxFile(join(root, "folder"))).toThrow("there already");
    const sink = mboxFile(join(root, "other"));
    expect(sink.refuses("user.fred")).toBeUndefined();
    sink.put("user.fred", record(1), utf8("Subject: one\r\n\r\n"));
    expect(sink.refuses("user.fred.Sub")).toContain("takes one mailbox");
    sink.close();
    expect(readFileSync(join(root, "other"), "latin1")).toContain("Subject: one\nStatus: O\n\n");
  });
});
