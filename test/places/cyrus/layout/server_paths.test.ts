import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  hashLetter,
  lockFiles,
  mailboxFolder,
  namedFolder,
  type PathSettings,
  quotaFile,
  sharedFile,
  sieveFolder,
  uniqueidFolder,
  userFiles,
} from "../../../../src/places/cyrus/layout/server_paths.ts";
import { imapdConfOf } from "../../../../src/places/cyrus/server/imapd_conf.ts";
import { recordedPaths } from "../../../support/mbpath.ts";

function settingsOf(settings: Readonly<Record<string, string>> = {}): PathSettings {
  const fixed = { configdirectory: "/conf", "partition-default": "/spool", sievedir: "/sieve" };
  return imapdConfOf("imapd.conf", new Map(Object.entries({ ...fixed, ...settings })));
}

describe("paths", () => {
  for (const { settings, legacy, mailboxes } of recordedPaths()) {
    const title = `${JSON.stringify(settings)}, ${legacy ? "by name" : "by uniqueid"}`;
    test(`are those that mbpath gives with ${title}`, () => {
      const paths = settingsOf(settings);
      const inboxOf = (userid: string) =>
        mailboxes.find(
          (each) => each.userid === userid && /^([^!]*!)?user\.[^.]*$/.test(each.name),
        );
      for (const { name, uniqueid, data, userid, seen, sieve } of mailboxes) {
        const folder = mailboxFolder({ name, uniqueid, legacy }, paths);
        expect({ name, data: join("/spool", folder ?? "") }).toEqual({ name, data });
        if (userid === undefined) continue;
        const found = inboxOf(userid);
        const inbox = found === undefined ? undefined : { ...found, legacy };
        const [first] = userFiles({ userid, inbox }, "seen", paths);
        expect({ name, seen: first }).toEqual({ name, seen: seen ?? "" });
        // Without virtual domains Cyrus 3.6 finds no scripts of a user with `@`.
        if (userid.includes("@") && settings["virtdomains"] === undefined) continue;
        const scripts = sieveFolder({ userid, inbox }, paths) ?? "";
        expect({ name, sieve: scripts }).toEqual({ name, sieve: sieve ?? "" });
      }
    });
  }

  test("offers all places where files of a user with @ may lie without virtual domains", () => {
    const inbox = { name: "user.fred@ex^org", uniqueid: "ab-1", legacy: false };
    const paths = userFiles({ userid: "fred@ex.org", inbox }, "counters", settingsOf());
    expect(paths).toEqual([
      "/conf/domain/e/ex.org/user/f/fred.counters",
      "/conf/user/uuid/a/b/ab-1/counters.db",
      "/conf/user/f/fred@ex.org.counters",
    ]);
  });

  test("follow mboxname_userpath for files by uniqueid only", () => {
    const settings = settingsOf({ mboxname_userpath: "/users" });
    const inbox = { name: "user.fred", uniqueid: "ab-1", legacy: false };
    expect(userFiles({ userid: "fred", inbox }, "dav", settings)).toEqual([
      "/users/user/uuid/a/b/ab-1/dav.db",
      "/conf/user/f/fred.dav",
    ]);
  });

  test("name the files of the shared namespace", () => {
    expect(sharedFile("counters", settingsOf())).toBe("/conf/shared.counters");
    const inDomain = sharedFile("counters", settingsOf(), { domain: "ex.org" });
    expect(inDomain).toBe("/conf/domain/e/ex.org/shared.counters");
  });

  test("hash quota roots by the part after their first dot", () => {
    const plain = settingsOf();
    const virtual = settingsOf({ virtdomains: "userid", quota_db_path: "/q/quotas.db" });
    expect(quotaFile("user.fred", plain)).toBe("/conf/quota/f/user.fred");
    expect(quotaFile("shared", plain)).toBe("/conf/quota/s/shared");
    expect(quotaFile("user.a^b.Sub", plain)).toBe("/conf/quota/a/user.a^b.Sub");
    expect(quotaFile("ex.org!user.fred", virtual)).toBe("/q/domain/e/ex.org/quota/f/user.fred");
    expect(quotaFile("ex.org!", virtual)).toBe("/q/domain/e/ex.org/quota/root");
    expect(quotaFile("user.fred", settingsOf({ fulldirhash: "1" }))).toBe(
      "/conf/quota/E/user.fred",
    );
  });

  test("name the locks as Cyrus made them, in both spellings of the user's", () => {
    const hashed = settingsOf({ hashimapspool: "yes" });
    const legacy = { name: "user.cassandane", uniqueid: "x", legacy: true };
    expect(lockFiles(legacy, "cassandane", settingsOf())).toEqual({
      user: ["/conf/lock/*U*cassandane.lock", "/conf/lock/*U*user/cassandane.lock"],
      mailbox: "/conf/lock/user/cassandane.lock",
    });
    const uuid = { name: "user.a^b", uniqueid: "cd345678-1", legacy: false };
    expect(lockFiles(uuid, "a.b", hashed)).toEqual({
      user: ["/conf/lock/q/*U*a^b.lock", "/conf/lock/a/*U*user/a^b.lock"],
      mailbox: "/conf/lock/c/cd345678-1.lock",
    });
    const shared = { name: "shared", uniqueid: "ef", legacy: false };
    expect(lockFiles(shared, "", hashed).user).toEqual(["/conf/lock/q/*U*.lock"]);
  });

  test("never lead out of their root", () => {
    const settings = settingsOf();
    for (const name of [
      "",
      "user..fred",
      "user.fred.a/b",
      "user.\0",
      "../x!user.fred",
      "..!user.x",
    ]) {
      const folder = namedFolder(name, settings);
      const inside = folder === undefined || join("/spool", folder).startsWith("/spool/");
      expect({ name, inside }).toEqual({ name, inside: true });
    }
    expect(namedFolder("user.^^.x", settings)).toBe("user/^^/x");
    for (const id of ["", "a", "../../etc", "a/b", ".ab", "ab\0", "-ab", "a".repeat(65)]) {
      expect(uniqueidFolder(id)).toBeUndefined();
    }
    expect(userFiles({ userid: "../x", inbox: undefined }, "seen", settings)).toEqual([]);
    expect(userFiles({ userid: "x@..", inbox: undefined }, "seen", settings)).toEqual([
      "/conf/user/x/x@...seen",
    ]);
    expect(quotaFile("user.a/../b", settings)).toBeUndefined();
    expect(quotaFile("..", settings)).toBeUndefined();
  });
});

describe("hashLetter()", () => {
  test("takes the first letter, or one of 23 from all letters up to a dot", () => {
    const letters = (full: boolean) =>
      ["fred", "Zed", "1x", "a.b", "a.c", "&AOk-t"].map((name) =>
        hashLetter(name, { fulldirhash: full }),
      );
    expect(letters(false).join("")).toBe("fzqaaq");
    expect(letters(true).join("")).toBe("ELOFFP");
  });
});
