/** What `bobbin help CODE` says of Cyrus' reconstruct is what it does to damaged mailboxes. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CODE_HELP } from "../../src/cli/manual/code_help.ts";
import type { Code } from "../../src/fsck/codes.ts";
import { bobbin, jsonLines } from "../support/cli.ts";
import { cyrusTools } from "../support/cyrus_tools.ts";
import { unpackFixture } from "../support/fixtures.ts";
import { has } from "../support/needs.ts";

/** A mailbox with a finding, the options of reconstruct, and whether it mends it. */
const MENDED: readonly (readonly [Code, string, readonly string[], boolean])[] = [
  ["IX07", "25-lastuid-recrc", [], true],
  ["IX09", "22-exists-recrc", [], true],
  ["IX11", "26-quota-recrc", [], true],
  ["IX12", "24-synccrc-recrc", [], true],
  ["MS03", "14-size-recrc", [], true],
  ["MS07", "07-orphan", [], true],
  ["CA01", "32-cache-missing", ["-G"], true],
  ["CA02", "30-cache-flip", ["-G"], true],
  ["IX14", "40-headerfile-flip", [], false],
  ["HD03", "40-headerfile-flip", ["-M"], false],
  ["MS01", "06-missing", [], true],
  ["MS04", "01-body-flip", ["-G"], false],
  ["IX01", "28-index-missing", [], true],
  ["IX02", "20-header-flip", [], true],
  ["IX03", "10-record-flip", [], true],
  ["IX04", "27-index-truncated", [], true],
  ["IX06", "15-uid-recrc", [], true],
  ["MS02", "04-empty", [], true],
  ["MS06", "15-uid-recrc", [], true],
  ["CA04", "14-size-recrc", ["-G"], true],
  ["MS08", "08-odd-file", [], false],
  ["AN01", "50-annotations-flip", [], false],
];

/** The codes that fsck finds, by mailbox. */
async function findings(conf: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const { stdout } = await bobbin(["fsck", "--json", "--jobs", "2", conf]);
  const found = jsonLines(stdout).filter(({ type }) => type === "finding");
  const codes = Map.groupBy(found, ({ mailbox }) => String(mailbox));
  return new Map([...codes].map(([name, all]) => [name, all.map(({ code }) => String(code))]));
}

describe.skipIf(!has("Cyrus' tools"))("the advice on a finding", () => {
  let conf = "";
  let [before, after]: ReadonlyMap<string, readonly string[]>[] = [];

  beforeAll(async () => {
    const tools = cyrusTools();
    const folder = unpackFixture("cyrus-spools/damaged");
    conf = join(folder, "imapd.conf");
    const text = readFileSync(conf, "utf8").replaceAll("@DIR@", folder);
    writeFileSync(conf, text.replace("mailbox_legacy_dirs: no\n", ""));
    for (const name of ["proc", "lock"]) mkdirSync(join(folder, "run", name), { recursive: true });
    before = await findings(conf);
    tools?.own(folder);
    for (const [, mailbox, options] of MENDED) {
      tools?.run("reconstruct", [...options, `user/dan/${mailbox}`], { conf });
    }
    after = await findings(conf);
  });

  test.each(MENDED)("%s holds for Cyrus' reconstruct", (code, mailbox, _, isMended) => {
    const name = `user/dan/${mailbox}`;
    expect(before?.get(name)).toContain(code);
    expect(after?.get(name)?.includes(code) ?? false).toBe(!isMended);
    expect(CODE_HELP[code].advice).toContain("reconstruct");
  });

  test("MS01 is right that reconstruct expunges a message whose file is gone", async () => {
    expect(after?.get("user/dan/06-missing")).toBeUndefined();
    const { stdout } = await bobbin(["ls", conf, "dan", "06-missing"]);
    expect(stdout.split("\n").map((line) => line.split(" ", 1)[0])).toEqual([
      ...["UID", "1", "3", "4", ""],
    ]);
  });
});
