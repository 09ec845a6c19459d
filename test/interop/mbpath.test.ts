import { describe, expect, test } from "bun:test";
import { writeTwoskip } from "../../src/formats/cyrus/databases/twoskip_writer.ts";
import { mailboxType, newEntryCache } from "../../src/formats/cyrus/mailbox_entry.ts";
import { cyrusTools } from "../support/cyrus_tools.ts";
import { printNameRecord, printUniqueidRecord } from "../support/formats/mailboxes_writer.ts";
import { type RecordedMailbox, type RecordedServer, recordedPaths } from "../support/mbpath.ts";

const installed = cyrusTools() !== undefined;

/** How an administrator writes the name to a tool: with the domain at the end. */
function toolName(name: string): string {
  const [, domain, local = ""] = /^(?:([^!]*)!)?(.*)$/.exec(name) ?? [];
  const outward = local.replace(/[.^]/g, (char) => (char === "." ? "/" : "."));
  return domain === undefined ? outward : `${outward}@${domain}`;
}

function entryOf({ name, uniqueid }: RecordedMailbox, legacy: boolean) {
  return {
    name,
    uniqueid,
    jmapid: undefined,
    type: mailboxType(legacy ? "el" : "e", newEntryCache()),
    partition: "default",
    server: undefined,
    uidvalidity: 5,
    createdmodseq: 1n,
    foldermodseq: 1n,
    mtime: 7,
    acl: [{ identifier: "anyone", rights: "lrs" }],
    history: [],
  };
}

function askMbpath({ settings, legacy, mailboxes }: RecordedServer) {
  const fixed = {
    unixhierarchysep: "yes",
    altnamespace: "no",
    admins: "admin",
    sievedir: "/sieve",
  };
  const tools = cyrusTools({ ...fixed, ...settings });
  if (tools === undefined) throw new Error("Cyrus is not installed");
  const entries = mailboxes.map((mailbox) => entryOf(mailbox, legacy));
  const records = [...entries.map(printNameRecord), ...entries.map(printUniqueidRecord)];
  tools.write("conf/mailboxes.db", writeTwoskip(records));
  return mailboxes.map(({ name }) => {
    const said = tools.run("mbpath", ["-7", "-j", toolName(name)]).replaceAll(tools.folder, "");
    const { data, user } = JSON.parse(said);
    return { name, data, seen: user?.seen, sieve: user?.sieve };
  });
}

describe("mbpath", () => {
  for (const server of recordedPaths()) {
    const title =
      `${JSON.stringify(server.settings)}, ` + `${server.legacy ? "by name" : "by uniqueid"}`;
    test.skipIf(!installed)(`still says what was recorded with ${title}`, () => {
      const recorded = server.mailboxes.map(({ name, data, seen, sieve }) => ({
        name,
        data,
        seen,
        sieve,
      }));
      expect(askMbpath(server)).toEqual(recorded);
    });
  }
});
