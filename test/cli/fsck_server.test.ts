/** `bobbin fsck imapd.conf`: whole servers, from the fixtures. */
import { describe, expect, test } from "bun:test";
import { cpSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bobbin, jsonLines } from "../support/cli.ts";
import { unpackFixture } from "../support/fixtures.ts";

/** Unpacks a server; its imapd.conf says where it lies now. */
function server(name: string): string {
  const folder = unpackFixture(`cyrus-spools/${name}`);
  const conf = join(folder, "imapd.conf");
  writeFileSync(conf, readFileSync(conf, "utf8").replaceAll("@DIR@", folder));
  return folder;
}

async function damageOf(folder: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await bobbin(["fsck", join(folder, "imapd.conf"), "--json", ...args]);
  return jsonLines(stdout)
    .filter(({ type, severity }) => type === "finding" && severity !== "info")
    .map(({ code, internalname, user }) => `${code} ${internalname ?? user ?? "-"}`);
}

const SOUND = [
  "legacy-paths",
  "uuid-paths",
  "uuid-paths-3.12",
  "uuid-paths-master",
  "conversations-3.6",
  "index-versions",
  "index-versions-master",
];

describe.concurrent("bobbin fsck of a server", () => {
  for (const name of SOUND) {
    test(`finds nothing wrong with ${name}, in full, --quick and with --lock`, async () => {
      const conf = join(server(name), "imapd.conf");
      for (const args of [[], ["--quick"], ["--lock"]]) {
        const { exit, stdout, stderr } = await bobbin(["fsck", conf, ...args]);
        expect({ args, exit, stdout, stderr }).toMatchObject({ args, exit: 0, stderr: "" });
      }
    });
  }

  test("names mailboxes by mailboxes.db where cyrus.header cannot", async () => {
    const found = await damageOf(server("damaged"));
    expect(found).toContain("HD01 user.dan.42-headerfile-missing");
    expect(found).toContain("AN01 user.dan.50-annotations-flip");
    expect(found.filter((one) => one.startsWith("DB05"))).toEqual(["DB05 user.dan.44-dup-b"]);
    expect(found.filter((one) => one.includes("00-clean") || one.includes("43-dup-a"))).toEqual([]);
  });

  test("finds a mailbox without its folder, and a folder that no entry names", async () => {
    const folder = server("legacy-paths");
    const drafts = join(folder, "spool/a/user/ann/Drafts");
    const copied = join(folder, "spool/a/user/ann/Copied");
    cpSync(drafts, copied, { recursive: true });
    utimesSync(copied, 1.7e9, 1.7e9); // one made just now might still get its entry
    rmSync(join(folder, "spool/a/user/ann/Trash"), { recursive: true });
    const found = await damageOf(folder);
    expect(found).toContain("DB02 user.ann.Trash");
    expect(found.some((one) => one.startsWith("DB03"))).toBe(true);
  });

  test("finds a quota root that does not add up", async () => {
    const folder = server("legacy-paths");
    const path = join(folder, "conf/quota/a/user.ann");
    const text = readFileSync(path, "latin1");
    const wrong = text.replace(/\d+/, (used) => String(Number(used) + 1));
    expect(wrong).not.toBe(text);
    writeFileSync(path, wrong, "latin1");
    expect((await damageOf(folder)).map((one) => one.slice(0, 4))).toEqual(["QU01"]);
  });

  test("exits 66 without the file, 78 for a configuration that Cyrus would refuse", async () => {
    const folder = server("legacy-paths");
    expect((await bobbin(["fsck", join(folder, "nope.conf")])).exit).toBe(66);
    const conf = join(folder, "imapd.conf");
    writeFileSync(conf, "this is no option\n");
    const { exit, stderr } = await bobbin(["fsck", conf]);
    expect({ exit, stderr }).toMatchObject({ exit: 78 });
    expect(stderr).toContain(conf);
  });

  test("--lock wants an imapd.conf", async () => {
    const { exit, stderr } = await bobbin([
      "fsck",
      join(server("legacy-paths"), "spool"),
      "--lock",
    ]);
    expect(exit).toBe(64);
    expect(stderr).toContain("Cannot lock");
  });
});
