import { describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fromLatin1, viewOf } from "../../../src/core/bytes.ts";
import { crc32 } from "../../../src/hash/crc32.ts";
import {
  changeDatabase,
  changeMailboxes,
  checkWholeServer,
  serverAt,
  shownFindings,
  type TestServer,
  testServer,
} from "../../support/cyrus_server.ts";
import { flipped } from "../../support/databases.ts";
import { readOnlyFixture } from "../../support/fixtures.ts";
import { CLEAN_SPOOLS } from "../../support/golden_mailboxes.ts";

describe("a sound server", () => {
  for (const name of CLEAN_SPOOLS) {
    test(`has no findings: ${name}`, async () => {
      const server = serverAt(readOnlyFixture(`cyrus-spools/${name}`));
      expect(await shownFindings(server)).toEqual([]);
    });
  }

  test("has none in the copy with planted damage but for the ACL that lost a bit", async () => {
    const server = serverAt(readOnlyFixture("cyrus-spools/damaged"));
    expect(await shownFindings(server)).toEqual([
      "user.dan.40-headerfile-flip HD03 warning acl dan acdeiklnprstwx -> dan acdeiklnpsstwx",
    ]);
  });
});

/** A server of 3.12 or master with conversations, changed and then checked. */
async function afterChange(
  change: (server: TestServer) => void,
  fixture = "uuid-paths-3.12",
): Promise<string[]> {
  const server = testServer(fixture);
  change(server);
  return shownFindings(server);
}

/** The folder of a mailbox of a spool by uniqueid. */
function folderOf(server: TestServer, name: string): string {
  let uniqueid = "";
  changeMailboxes(server, (records) => {
    uniqueid = records.uniqueidOf(name);
  });
  return join(server.root, "spool/uuid", uniqueid.slice(0, 1), uniqueid.slice(1, 2), uniqueid);
}

/** The value of ann's INBOX, whose folder also names the files of the user. */
function userFolder(server: TestServer, userid: string): string {
  const folder = folderOf(server, `user/${userid}`);
  return folder.replace("/spool/", "/conf/user/");
}

describe("checkDatabase() on mailboxes.db", () => {
  test("reports damage as DB01, and no folder as lost because of it", async () => {
    const found = await afterChange(({ conf }) => {
      const { path } = conf.mailboxesDb;
      const bytes = readFileSync(path);
      // Older versions of a record stay in the file; the last one counts.
      const at = bytes.lastIndexOf("Nuser\x1fann\x1fSent");
      writeFileSync(path, flipped(bytes, at + 40));
    });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^- DB01 critical/);
  });

  test("says of formats it does not read that they are not checked", async () => {
    const found = await afterChange(({ conf }) => {
      const twom = fromLatin1("\xa1\x02\x8b\x0dtwomfile\0\0\0\0".padEnd(200, "\0"));
      writeFileSync(conf.mailboxesDb.path, twom);
    });
    expect(found).toEqual(["- DB01 warning undefined -> twom"]);
  });

  test("reports a missing file and one that is none", async () => {
    const missing = await afterChange(({ conf }) => rmSync(conf.mailboxesDb.path));
    expect(missing).toEqual(["- DB01 critical"]);
    const text = await afterChange(({ conf }) => writeFileSync(conf.mailboxesDb.path, "lost\n"));
    expect(text).toHaveLength(1);
    expect(text[0]).toMatch(/^- DB01 critical/);
  });

  test("reports a record that cannot be read, with its key", async () => {
    const found = await afterChange((server) =>
      changeMailboxes(server, (records) => records.set("Nuser/ann/Sent", "%(T e I ")),
    );
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^- DB01 critical Nuser\.ann\.Sent/);
  });
});

describe("deliver.db", () => {
  /** What is found when it holds `bytes`, in a file that imapd.conf names. */
  const found = async (bytes: Uint8Array): Promise<string[]> => {
    const path = "@DIR@/conf/twice.db";
    const server = testServer("uuid-paths-3.12", { duplicate_db_path: path });
    writeFileSync(server.conf.deliverDb.path, bytes);
    return shownFindings(server);
  };

  test("DB12: a damaged byte, a lost header, and a format that is not read", async () => {
    const sound = readFileSync(join(import.meta.dir, "../../fixtures/databases/log-a.twoskip"));
    expect(await found(sound)).toEqual([]);
    expect(await found(new Uint8Array())).toEqual([]);
    const damaged = await found(flipped(sound, 72));
    expect(damaged).toContain("- DB12 error sound records -> 272 bytes of damage");
    expect(damaged.every((one) => one.startsWith("- DB12 error"))).toBe(true);
    expect((await found(flipped(sound, 3)))[0]).toMatch(/^- DB12 error .*twoskip header/);
    const twom = fromLatin1("\xa1\x02\x8b\x0dtwomfile\0\0\0\0".padEnd(200, "\0"));
    expect(await found(twom)).toEqual(["- DB12 warning undefined -> twom"]);
  });
});

describe("entries and folders", () => {
  test("DB02: an entry whose folder is gone", async () => {
    const found = await afterChange((server) =>
      rmSync(folderOf(server, "user/ann/Drafts"), { recursive: true }),
    );
    expect(found).toEqual(["user.ann.Drafts DB02 critical"]);
  });

  test("DB02: names the folder that has the uniqueid of the entry", async () => {
    const server = testServer("uuid-paths-3.12");
    const folder = folderOf(server, "user/ann/Drafts");
    const astray = join(server.root, "spool/uuid/z/z/zz-astray");
    mkdirSync(dirname(astray), { recursive: true });
    renameSync(folder, astray);
    const [only, ...more] = await checkWholeServer(server);
    expect(more).toEqual([]);
    expect(only).toMatchObject({ code: "DB02", path: folder, other: astray });
  });

  test("DB03: a folder without an entry, once it is no longer new", async () => {
    const server = testServer("uuid-paths-3.12");
    const folder = folderOf(server, "user/ann/Drafts");
    changeMailboxes(server, (records) => {
      records.remove(`I${records.uniqueidOf("user/ann/Drafts")}`);
      records.remove("Nuser/ann/Drafts");
    });
    const found = await checkWholeServer(server);
    const lost = { mailbox: "user.ann.Drafts", code: "DB03", path: folder };
    expect(found[0]).toMatchObject(lost);
    expect(found[0]?.severity).toBe("critical");
    // What the mailbox had is now of nobody, and counts for nothing.
    expect(found.slice(1).map(({ code }) => code)).toEqual(["QU01", "QU01", "AN01"]);
    const now = Date.now() / 1000;
    const young = await checkWholeServer(server, {
      nowSeconds: Math.min(now, changedAt(folder) + 5),
    });
    expect(young[0]).toMatchObject({ code: "DB03", severity: "info" });
  });

  test("a folder of a deleted mailbox may lose its entry first", async () => {
    const found = await afterChange((server) =>
      changeMailboxes(server, (records) => {
        const name = "DELETED/user/ann/gone/6B02D29D";
        records.remove(`I${records.uniqueidOf(name)}`);
        records.remove(`N${name}`);
      }),
    );
    expect(found).toEqual([]);
  });

  test("a folder may be missing or there where the type needs none", async () => {
    for (const type of ["er", "ei", "em", "ez"]) {
      for (const gone of [true, false]) {
        const found = await afterChange((server) => {
          if (gone) rmSync(folderOf(server, "user/ann/Drafts"), { recursive: true });
          changeMailboxes(server, (records) =>
            records.edit("user/ann/Drafts", "T e ", `T ${type} `),
          );
        });
        expect({ type, gone, found: found.filter((one) => !/QU01/.test(one)) }).toEqual({
          type,
          gone,
          found: [],
        });
      }
    }
  });

  test("DB06: another uidvalidity than the index", async () => {
    const found = await afterChange((server) =>
      changeMailboxes(server, (records) => records.edit("user/ann/Drafts", / V \d+/, " V 7")),
    );
    expect(found).toEqual(["user.ann.Drafts DB06 error uidvalidity 1795347103 -> 7"]);
  });

  test("DB07: the letter for the other layout than that of the folder, both ways", async () => {
    const byName = await afterChange((server) =>
      changeMailboxes(server, (records) => records.edit("user/ann/Drafts", "T e ", "T el ")),
    );
    expect(byName).toHaveLength(1);
    expect(byName[0]).toMatch(/^user\.ann\.Drafts DB07 critical T .*\/spool\/a\/user\/ann\/Drafts/);
    const byUniqueid = await afterChange(
      (server) =>
        changeMailboxes(server, (records) => records.edit("user/ann/Drafts", "T el ", "T e ")),
      "legacy-paths",
    );
    expect(byUniqueid).toHaveLength(1);
    expect(byUniqueid[0]).toMatch(/^user\.ann\.Drafts DB07 critical T .*\/spool\/uuid\//);
  });

  test("DB08: an unknown partition, and a folder on another one", async () => {
    const unknown = await afterChange((server) =>
      changeMailboxes(server, (records) => records.edit("user/ann/Drafts", "P default", "P lost")),
    );
    expect(unknown).toContain("user.ann.Drafts DB08 critical P undefined -> lost");

    const server = testServer("uuid-paths-3.12", { "partition-two": "@DIR@/two" });
    mkdirSync(join(server.root, "two"));
    const folder = folderOf(server, "user/ann/Drafts");
    cpSync(folder, folder.replace("/spool/", "/two/"), { recursive: true });
    rmSync(folder, { recursive: true });
    expect(await shownFindings(server)).toEqual(["user.ann.Drafts DB08 critical P default -> two"]);
  });

  test("HD03: another name, type or ACL in cyrus.header than in mailboxes.db", async () => {
    const edits: [from: RegExp, to: string, found: RegExp][] = [
      [/T e /, "T c ", /^user\.ann\.Drafts HD03 warning mbtype c -> e$/],
      [/ann lrswipkxtecdan/, "ann lrs", /HD03 warning acl ann lrs -> ann acdeiklnprstwx$/],
    ];
    for (const [from, to, expected] of edits) {
      const found = await afterChange((server) =>
        changeMailboxes(server, (records) => records.edit("user/ann/Drafts", from, to)),
      );
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(expected);
    }
    const renamed = await afterChange((server) =>
      changeMailboxes(server, (records) => {
        const id = records.uniqueidOf("user/ann/Drafts");
        records.set("Nuser/ann/Other", records.get("Nuser/ann/Drafts"));
        records.set(`I${id}`, records.get(`I${id}`).replace("Drafts", "Other"));
        records.remove("Nuser/ann/Drafts");
      }),
    );
    expect(renamed).toEqual(["user.ann.Other HD03 warning name user.ann.Other -> user.ann.Drafts"]);
  });

  test("HD02: a folder by name that holds another uniqueid", async () => {
    const found = await afterChange((server) => {
      const path = join(server.root, "spool/a/user/ann/Trash/cyrus.header");
      const bytes = readFileSync(path);
      const at = bytes.indexOf("wze318jql3t2ozqfbciy2qxm");
      bytes[at] = 0x78;
      writeFileSync(path, bytes);
    }, "legacy-paths");
    expect(found).toEqual([
      "user.ann.Trash HD02 critical uniqueid wze318jql3t2ozqfbciy2qxm -> xze318jql3t2ozqfbciy2qxm",
    ]);
  });
});

function idsOf(record: string): { readonly uniqueid: string; readonly jmapid: string } {
  const [, uniqueid = ""] = / I (\S+)/.exec(record) ?? [];
  const [, jmapid = ""] = / J ([^\s)]+)/.exec(record) ?? [];
  return { uniqueid, jmapid };
}

describe("records of mailboxes.db among themselves", () => {
  test("DB04: an N record without its I record, and with one that contradicts it", async () => {
    const without = await afterChange((server) =>
      changeMailboxes(server, (records) =>
        records.remove(`I${records.uniqueidOf("user/ann/Drafts")}`),
      ),
    );
    expect(without).toHaveLength(1);
    expect(without[0]).toMatch(/^user\.ann\.Drafts DB04 error I /);
    const fields: [field: string, from: RegExp, to: string][] = [
      ["T", /T e /, "T c "],
      ["P", /P default/, "P two"],
      ["V", /V \d+/, "V 7"],
      ["C", / C \d+/, " C 99"],
      ["F", / F \d+/, " F 99"],
      ["A", /ann lrswipkxtecdan/, "ann lrs"],
    ];
    for (const [field, from, to] of fields) {
      const found = await afterChange((server) =>
        changeMailboxes(server, (records) => {
          const key = `I${records.uniqueidOf("user/ann/Drafts")}`;
          records.set(key, records.get(key).replace(from, to));
        }),
      );
      expect(found).toHaveLength(1);
      expect(found[0]).toStartWith(`user.ann.Drafts DB04 error ${field} `);
    }
  });

  test("DB04: an I record of no mailbox, but for those that a purge leaves", async () => {
    const lost = await afterChange((server) =>
      changeMailboxes(server, (records) => {
        const id = records.uniqueidOf("user/ann/Drafts");
        records.set("Ighost", records.get(`I${id}`).replace("Drafts", "Nowhere"));
      }),
    );
    expect(lost).toEqual(["user.ann.Nowhere DB04 error I undefined -> ghost"]);
    const purged = await afterChange((server) => {
      const name = "DELETED/user/ann/gone/6B02D29D";
      rmSync(folderOf(server, name), { recursive: true });
      changeMailboxes(server, (records) => records.remove(`N${name}`));
    });
    expect(purged).toEqual([]);
  });

  test("DB04: an I record with the name of another mailbox, or of a tombstone", async () => {
    const other = await afterChange((server) =>
      changeMailboxes(server, (records) => {
        const key = `I${records.uniqueidOf("user/ann/Drafts")}`;
        records.set(key, records.get(key).replace("Drafts", "Trash"));
      }),
    );
    expect(other.map((one) => one.split(" ").slice(0, 2).join(" "))).toEqual([
      "user.ann.Drafts DB04",
      "user.ann.Trash DB04",
    ]);
    const tombstone = await afterChange((server) =>
      changeMailboxes(server, (records) => {
        rmSync(folderOf(server, "user/ann/Drafts"), { recursive: true });
        const key = "Nuser/ann/Drafts";
        records.set(key, records.get(key).replace("T e ", "T ed "));
      }),
    );
    expect(tombstone.filter((one) => !/QU01/.test(one))).toHaveLength(1);
    expect(tombstone[0]).toMatch(/(QU01|DB04 error T)/);
  });

  test("DB04: a J record that contradicts, or is missing", async () => {
    const wrong = await afterChange(
      (server) =>
        changeMailboxes(server, (records) => {
          records.set("Jann|P0-", records.get("Jann|P0-").replace("Trash", "Sent"));
        }),
      "uuid-paths-master",
    );
    expect(wrong).toContain("user.ann.Sent DB04 error J undefined -> ann P0-");
    const missing = await afterChange(
      (server) => changeMailboxes(server, (records) => records.remove("Jann|P0-")),
      "uuid-paths-master",
    );
    expect(missing).toEqual(["user.ann.Trash DB04 info J P0- -> undefined"]);
  });

  test("DB04: several mailboxes of a user may have the JMAP id of one J record", async () => {
    const found = await afterChange(
      (server) =>
        changeMailboxes(server, (records) => {
          // As with conversations off: another mailbox has got the same id, and no J record.
          const { uniqueid, jmapid } = idsOf(records.get("Nuser/ann/Sent"));
          for (const key of ["Nuser/ann/Sent", `I${uniqueid}`]) {
            records.set(key, records.get(key).replace(`J ${jmapid}`, "J P0-"));
          }
          records.remove(`Jann|${jmapid}`);
        }),
      "uuid-paths-master",
    );
    expect(found).toEqual([]);
  });

  test("DB05: one uniqueid for two mailboxes", async () => {
    const server = testServer("uuid-paths-3.12");
    changeMailboxes(server, (records) => {
      records.set("Nuser/ann/Copy", records.get("Nuser/ann/Drafts"));
    });
    const found = await checkWholeServer(server);
    expect(found.map(({ mailbox, code, other }) => [mailbox, code, other])).toEqual([
      ["user.ann.Copy", "HD03", undefined],
      ["user.ann.Copy", "DB05", "user.ann.Drafts"],
    ]);
  });

  test("DB09: reverse ACLs, where they are kept, one row for each right to see", async () => {
    const rows = (server: TestServer, change: (rows: Set<string>) => void) =>
      changeMailboxes(server, (records) => {
        const all = new Set([
          ...["AS|", "AU|bob|DELETED/user/ann/gone/6B02D29D", "AU|anyone|user/ann/Sent"],
          ...["AU|bob|user/ann", "AS|anyone|shared", "AS|anyone|shared/news"],
        ]);
        change(all);
        for (const key of all) records.set(key, "");
      });
    expect(await afterChange((server) => rows(server, () => undefined))).toEqual([]);
    const missing = await afterChange((server) =>
      rows(server, (all) => all.delete("AS|anyone|shared/news")),
    );
    expect(missing).toEqual(["shared.news DB09 warning racl anyone -> undefined"]);
    const extra = await afterChange((server) => rows(server, (all) => all.add("AU|eve|user/ann")));
    expect(extra).toEqual(["user.ann DB09 warning racl undefined -> eve"]);
    // Rows left of a time when they were kept say nothing.
    const left = await afterChange((server) => rows(server, (all) => all.delete("AS|")));
    expect(left).toEqual([]);
  });

  test("DB10: a name that no mailbox may have, and one without a parent", async () => {
    const found = await afterChange((server) =>
      changeMailboxes(server, (records) => {
        const value = "%(T er S other P default V 5 C 1 F 1 M 7 A %(ann lrs))";
        for (const name of ["user/ann/a%b", "user/ann/x/y", "user/nobody/x", "shared/ok"]) {
          records.set(`N${name}`, value);
        }
      }),
    );
    expect(found).toEqual([
      "user.ann.a%b DB10 warning undefined -> user.ann.a%b",
      "user.ann.x.y DB10 info user.ann.x -> undefined",
      "user.nobody.x DB10 info user.nobody -> undefined",
    ]);
  });
});

describe("quota roots", () => {
  const quotaPath = ({ root }: TestServer) => join(root, "conf/quota/a/user.ann");

  test("QU01: use that is not the sum, of each resource", async () => {
    const found = await afterChange((server) =>
      writeFileSync(quotaPath(server), "%(S (1 1000000) M (2) AS (3) NF (4) MODSEQ 18)\n"),
    );
    expect(found).toEqual([
      "- QU01 error AS 81 -> 3",
      "- QU01 error M 26 -> 2",
      "- QU01 error NF 13 -> 4",
      "- QU01 error S 61802 -> 1",
    ]);
  });

  test("QU01: the older form says nothing of what it does not list, nor a scan", async () => {
    const old = await afterChange((server) => writeFileSync(quotaPath(server), "61802 1000\n"));
    expect(old).toEqual([]);
    const scan = "%(S (1) M (2) AS (3) NF (4) SCAN %(MBOX user.ann S 1) MODSEQ 18)\n";
    expect(await afterChange((server) => writeFileSync(quotaPath(server), scan))).toEqual([]);
  });

  test("QU01: a root that cannot be read", async () => {
    const found = await afterChange((server) => writeFileSync(quotaPath(server), "lost"));
    expect(found).toEqual(["- QU01 error"]);
  });

  test("QU02: roots in headers that do not exist, or are not the nearest", async () => {
    const missing = await afterChange((server) => rmSync(quotaPath(server)));
    expect(missing).toHaveLength(13);
    expect(missing[0]).toMatch(/^user\.ann QU02 warning quotaroot {2}-> user\.ann$/);
    const nearer = await afterChange((server) =>
      writeFileSync(`${quotaPath(server)}.Lists`, "%(S (0) M (0) AS (0) NF (0) MODSEQ 1)\n"),
    );
    expect(nearer).toEqual([
      "user.ann.Lists QU02 warning quotaroot user.ann.Lists -> user.ann",
      "user.ann.Lists.renamed QU02 warning quotaroot user.ann.Lists -> user.ann",
    ]);
  });

  test("QU02: a root that Cyrus left behind is no damage", async () => {
    const found = await afterChange((server) =>
      writeFileSync(`${quotaPath(server)}.Former`, "%(S (0) M (0) AS (0) NF (0) MODSEQ 1)\n"),
    );
    expect(found).toEqual(["- QU02 info"]);
  });
});

describe("files of users", () => {
  const bobsSeen = (server: TestServer) => join(userFolder(server, "bob"), "seen.db");
  const annsInbox = "34ab8e35-a110-4f17-bcc9-0f6bf88bb7d7";

  test("SE01: seen state that cannot be parsed or goes too far, or of a lost mailbox", async () => {
    const cases: [value: string, expected: RegExp][] = [
      ["2 1 17 1 1:4", /^bob SE01 warning 34ab8e35/],
      ["1 1 17 1 1:x", /^bob SE01 warning 34ab8e35/],
      ["1 1 17 1 1:99", /^bob SE01 warning 34ab8e35-[0-9a-f-]+ \d+ -> 99$/],
      ["1 1 4000 1 1:4", /^bob SE01 warning 34ab8e35-[0-9a-f-]+ \d+ -> 4000$/],
    ];
    for (const [value, expected] of cases) {
      const found = await afterChange((server) =>
        changeDatabase(bobsSeen(server), (records) => void records.set(annsInbox, value)),
      );
      expect(found).toHaveLength(1);
      expect(found[0]).toMatch(expected);
    }
    const lost = await afterChange((server) =>
      changeDatabase(bobsSeen(server), (records) => void records.set("nowhere", "1 1 1 1 1")),
    );
    expect(lost).toEqual(["bob SE01 info nowhere"]);
  });

  test("SE02: seen state of the owner that an upgrade left behind", async () => {
    const found = await afterChange((server) => {
      const from = readFileSync(bobsSeen(server));
      writeFileSync(join(userFolder(server, "ann"), "seen.db"), from);
    });
    expect(found).toEqual([`ann SE02 info ${annsInbox}`]);
  });

  test("SE01, SU01, CV01: databases that lost a bit", async () => {
    const seen = await afterChange((server) => {
      const bytes = readFileSync(bobsSeen(server));
      writeFileSync(bobsSeen(server), flipped(bytes, bytes.length - 40));
    });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatch(/^bob SE01 warning/);
    const sub = await afterChange((server) =>
      writeFileSync(join(userFolder(server, "ann"), "sub.db"), "\x1fVER\x1f\t3\nNINB"),
    );
    expect(sub).toHaveLength(1);
    expect(sub[0]).toMatch(/^ann SU01 warning/);
    const conversations = await afterChange((server) => {
      const path = join(userFolder(server, "ann"), "conversations.db");
      writeFileSync(path, flipped(readFileSync(path), 23));
    });
    expect(conversations).toEqual(["ann CV01 warning 1 -> 0"]);
  });

  test("SU01: subscriptions to what is not there, and keys that are none", async () => {
    const found = await afterChange((server) =>
      writeFileSync(
        join(userFolder(server, "ann"), "sub.db"),
        "\x1fVER\x1f\t3\nNINBOX\x1fSent\t\nNINBOX\x1fLost\t\nNshared\t\nodd\t\n",
      ),
    );
    expect(found).toEqual([
      "ann SU01 info undefined -> user.ann.Lost",
      "ann SU01 warning undefined -> odd",
    ]);
  });

  test("CV01: no conversations, though they are switched on and there are messages", async () => {
    const found = await afterChange((server) => {
      for (const userid of ["ann", "bob"]) {
        rmSync(join(userFolder(server, userid), "conversations.db"));
      }
    });
    expect(found).toEqual(["ann CV01 warning", "bob CV01 warning"]);
  });

  test("CO01, DB11: counters that are damaged or behind", async () => {
    const change = (edit: (bytes: Buffer) => Uint8Array) => (server: TestServer) => {
      const path = join(userFolder(server, "cat"), "counters.db");
      writeFileSync(path, edit(readFileSync(path)));
    };
    const sealed = (bytes: Buffer) => {
      viewOf(bytes).setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)));
      return bytes;
    };
    expect(await afterChange(change((bytes) => flipped(bytes, 20)))).toEqual(["cat CO01 error"]);
    expect(await afterChange(change((bytes) => bytes.subarray(0, 200)))).toEqual([
      "cat CO01 error",
    ]);
    const low = await afterChange(
      change((bytes) => {
        bytes.writeBigUInt64BE(7n, 8);
        return sealed(bytes);
      }),
    );
    expect(low.map((one) => one.replace(/ -> .*/, ""))).toEqual([
      "cat CO01 error highestmodseq 16",
      "cat CO01 error highestmodseq 22",
      "cat CO01 error highestmodseq 8",
      "cat DB11 warning foldermodseq 8",
    ]);
    const early = await afterChange(
      change((bytes) => {
        bytes.writeUInt32BE(1_700_000_000, bytes.length - 8);
        return sealed(bytes);
      }),
    );
    expect(early).toHaveLength(3);
    for (const one of early)
      expect(one).toMatch(/^cat CO01 error uidvalidity 17\d+ -> 1700000000$/);
  });

  test("AN01: annotations.db damaged, with bad records, or of lost mailboxes", async () => {
    const flippedBit = await afterChange(({ root }) => {
      const path = join(root, "conf/annotations.db");
      const bytes = readFileSync(path);
      writeFileSync(path, flipped(bytes, bytes.indexOf("our Two Words")));
    });
    expect(flippedBit).toHaveLength(1);
    expect(flippedBit[0]).toMatch(/^- AN01 warning/);
    const records = await afterChange(({ root }) =>
      changeDatabase(join(root, "conf/annotations.db"), (all) => {
        const [, value = ""] = [...all][0] ?? [];
        all.set("nowhere\0/comment\0\0", value);
        all.set("\0/comment\0\0", value);
        all.set("broken", value);
      }),
    );
    expect(records).toEqual(["- AN01 info /comment undefined -> nowhere", "- AN01 warning broken"]);
  });
});

function changedAt(path: string): number {
  return statSync(path).mtimeMs / 1000;
}
