/** What seems wrong with a mailbox counts only while the list has the same mailbox at its place. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { type Finding, finding } from "../../../src/fsck/finding.ts";
import { checkListed, type Listing } from "../../../src/fsck/spool/listed.ts";
import { mailboxPaths } from "../../../src/places/cyrus/mailbox/mailbox_files.ts";
import { tempDir } from "../../support/temp_dir.ts";

const GONE: Finding = finding("HD01", {}, { fault: { state: "missing" } });
const ROTTEN: Finding = finding("MS02", { uid: 1 }, { expected: 5 });

/** The mailbox `sub`, whose looks and whose entries in the list come one after the other. */
async function checked(
  looks: readonly (readonly Finding[])[],
  entries: readonly (number | undefined | "unknown")[],
  options: { readonly ageSeconds?: number } = {},
) {
  const data = tempDir("listed");
  mkdirSync(join(data, "sub"));
  const at = Date.now() / 1000 - (options.ageSeconds ?? 0);
  utimesSync(join(data, "sub"), at, at);
  let [look, list] = [0, 0];
  const check = async () => {
    const findings = looks[Math.min(look++, looks.length - 1)] ?? [];
    return { findings, unstable: false };
  };
  const relist = async (): Promise<Listing> => {
    const entry = entries[Math.min(list++, entries.length - 1)];
    const found = typeof entry === "number" ? { name: "user.ann.sub", entry } : entry;
    return { at: () => found, folders: [], checksUnlisted: true };
  };
  const { state, value } = await checkListed(mailboxPaths({ data }, "sub"), check, relist);
  return { state, codes: value.findings.map(({ code }) => code), look, list };
}

describe("checkListed()", () => {
  test("asks nobody about a sound mailbox, or about a message that is damaged", async () => {
    expect(await checked([[]], [])).toEqual({ state: "checked", codes: [], look: 1, list: 0 });
    expect(await checked([[ROTTEN]], [])).toMatchObject({ codes: ["MS02"], look: 1, list: 0 });
  });

  test("believes what is seen again while the entry stays the same", async () => {
    const found = await checked([[GONE]], [1]);
    expect(found).toEqual({ state: "checked", codes: ["HD01"], look: 2, list: 3 });
  });

  test("looks again after a rename to and fro, until it sees the mailbox whole", async () => {
    const found = await checked([[GONE], [GONE], []], [1, 1, 2, 3, 3]);
    expect(found).toMatchObject({ state: "checked", codes: [], look: 3 });
  });

  test("calls a mailbox unstable that is another one at every look", async () => {
    const entries = Array.from({ length: 100 }, (_, at) => at);
    expect(await checked([[GONE]], entries)).toMatchObject({ state: "unstable" });
  });

  test("drops a folder that is just made or removed, and checks one that lies about", async () => {
    expect(await checked([[GONE]], [undefined])).toMatchObject({ state: "gone" });
    const old = await checked([[GONE]], [undefined], { ageSeconds: 3600 });
    expect(old).toMatchObject({ state: "checked", codes: ["HD01"] });
  });

  test("believes what it sees where the list itself is damaged", async () => {
    const found = await checked([[GONE]], ["unknown"]);
    expect(found).toMatchObject({ state: "checked", codes: ["HD01"] });
  });
});
