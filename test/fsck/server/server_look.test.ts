import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tell } from "../../../src/fsck/finding.ts";
import { checkServerUntilSure } from "../../../src/fsck/server/server_look.ts";
import { readAllFacts } from "../../../src/places/cyrus/mailbox/mailbox_facts.ts";
import { changeMailboxes, shownFinding, testServer } from "../../support/cyrus_server.ts";

describe("checkServerUntilSure()", () => {
  test("has nothing to say of a sound server", async () => {
    const { conf } = testServer("uuid-paths-3.12");
    const look = await checkServerUntilSure(conf, readAllFacts(conf));
    expect(look).toEqual({ findings: [], unstable: 0 });
  });

  test("reports what every look finds, and remarks without asking again", async () => {
    const server = testServer("uuid-paths-3.12");
    const quota = join(server.root, "conf/quota/a/user.ann");
    writeFileSync(quota, readFileSync(quota, "latin1").replace("61802", "1"));
    writeFileSync(`${quota}.Former`, "%(S (0) M (0) AS (0) NF (0) MODSEQ 1)\n");
    const { findings, unstable } = await checkServerUntilSure(
      server.conf,
      readAllFacts(server.conf),
    );
    expect(findings.map(tell).map(shownFinding).sort()).toEqual([
      "- QU01 error S 61802 -> 1",
      "- QU02 info",
    ]);
    expect(unstable).toBe(0);
  });

  test("takes back what is right again at a later look", async () => {
    const server = testServer("uuid-paths-3.12");
    const { path } = server.conf.mailboxesDb;
    const sound = readFileSync(path);
    const facts = readAllFacts(server.conf);
    changeMailboxes(server, (records) => records.edit("user/ann/Drafts", / V \d+/, " V 7"));
    const look = checkServerUntilSure(server.conf, facts);
    setTimeout(() => writeFileSync(path, sound), 100);
    expect(await look).toEqual({ findings: [], unstable: 1 });
  });

  test("sees folders that come and go between the looks", async () => {
    const server = testServer("uuid-paths-3.12");
    const { conf } = server;
    const all = readAllFacts(conf);
    const isDrafts = (name: unknown) => name === "user.ann.Drafts";
    // A walk that was over before the mailbox was made, and one that saw a mailbox since removed.
    const early = {
      ...all,
      mailboxes: all.mailboxes.filter(({ header }) => !isDrafts(header?.name)),
    };
    expect(await checkServerUntilSure(conf, early)).toMatchObject({ findings: [] });
    const [ghost] = all.mailboxes.filter(({ header }) => isDrafts(header?.name));
    if (ghost === undefined) throw new Error("no such folder");
    const folder = "uuid/g/h/ghost";
    const gone = { ...ghost, folder, path: join(server.root, "spool", folder), changedAt: 1 };
    const late = { ...all, mailboxes: [...all.mailboxes, gone] };
    expect(await checkServerUntilSure(conf, late)).toMatchObject({ findings: [], unstable: 1 });
  });
});
