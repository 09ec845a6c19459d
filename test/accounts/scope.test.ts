/**
 * An account that may touch one user cannot see, reserve, fetch, rename into, or learn of another's
 * mail.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mayTouchMailbox, mayTouchUser, scopeOf } from "../../src/accounts/scope.ts";
import { Csync } from "../support/csync.ts";
import { type TestServer, testServer } from "../support/serve.ts";

const MESSAGE = "Subject: secret\r\n\r\nfor bob\r\n";
const GUID = new Bun.CryptoHasher("sha1").update(MESSAGE).digest("hex");

/** What an APPLY MAILBOX says of a mailbox with one message, its checksums left open. */
function mailbox(name: string, uniqueid: string, records: string): string {
  return (
    `MAILBOX %(UNIQUEID ${uniqueid} MBOXNAME ${name} SYNC_CRC 0 SYNC_CRC_ANNOT 0 LAST_UID 1 ` +
    "HIGHESTMODSEQ 4 RECENTUID 0 RECENTTIME 0 LAST_APPENDDATE 0 POP3_LAST_LOGIN 0 " +
    "POP3_SHOW_AFTER 0 " +
    `UIDVALIDITY 1700000000 PARTITION default ACL "" OPTIONS P CREATEDMODSEQ 1 RECORD (${records}))`
  );
}

const RECORD =
  "%(UID 1 MODSEQ 4 LAST_UPDATED 1700000000 FLAGS () INTERNALDATE 1700000000 " +
  `SIZE ${MESSAGE.length} GUID ${GUID})`;

let server: TestServer;
let admin: Csync;
let anne: Csync;

async function ok(client: Csync, line: string): Promise<void> {
  const { status } = await client.command(line);
  if (!status.startsWith("OK")) throw new Error(`${line}: ${status}`);
}

beforeAll(async () => {
  server = await testServer();
  admin = await Csync.signedIn(server.port);
  anne = await Csync.signedIn(server.port, "anne");
  await ok(admin, `APPLY MESSAGE (%{default ${GUID} ${MESSAGE.length}}\r\n${MESSAGE})`);
  await ok(admin, `APPLY ${mailbox("user.bob", "bobs-inbox", RECORD)}`);
  await ok(admin, `APPLY ${mailbox("user.bob.Sub", "bobs-sub", "")}`);
  await ok(admin, `APPLY ${mailbox("user.anne", "annes-inbox", "")}`);
  await ok(admin, `APPLY ${mailbox("lists", "the-lists", "")}`);
  await ok(admin, "APPLY QUOTA %(ROOT user.bob LIMIT 100 STORAGE 100)");
  await ok(admin, "APPLY SUB %(USERID bob MBOXNAME user.bob)");
  await ok(
    admin,
    "APPLY SEEN %(USERID bob UNIQUEID bobs-inbox LASTREAD 1 LASTUID 1 LASTCHANGE 1 SEENUIDS 1)",
  );
  await ok(admin, 'APPLY ANNOTATION %(MBOXNAME user.bob ENTRY /comment USERID "" VALUE hush)');
  await ok(admin, "APPLY SIEVE %(USERID bob FILENAME x.script LAST_UPDATE 1 CONTENT keep;)");
});

afterAll(async () => {
  admin.close();
  anne.close();
  await server.stop();
});

const fetch = (name: string, id: string) =>
  `GET FETCH %(MBOXNAME ${name} PARTITION default UNIQUEID ${id} GUID ${GUID} UID 1)`;

/** Each command, about a user and his mailboxes. */
const COMMANDS: readonly ((user: string, id: string) => string)[] = [
  (user) => `GET USER ${user}`,
  (user) => `GET META ${user}`,
  (user) => `GET MAILBOXES (user.${user} user.${user}.Sub DELETED.user.${user}.Sub.5F3A2B1C)`,
  (_, id) => `GET UNIQUEIDS (${id})`,
  (user) => `GET FULLMAILBOX user.${user}`,
  (user) => `GET QUOTA user.${user}`,
  (user) => `GET ANNOTATION user.${user}`,
  (user, id) => fetch(`user.${user}`, id),
  (user) => `GET FETCH_SIEVE %(USERID ${user} FILENAME x.script)`,
  (user) => `APPLY RESERVE %(PARTITION default MBOXNAME (user.${user} user.anne) GUID (${GUID}))`,
  (user, id) => `APPLY ${mailbox(`user.${user}`, id, "")}`,
  (user, id) => `APPLY LOCAL_${mailbox(`user.${user}.New`, `${id}-new`, "")}`,
  (user, id) => `RESTORE ${mailbox(`user.${user}`, id, "")}`,
  (user) => `APPLY UNMAILBOX user.${user}.Sub`,
  (user) =>
    `APPLY RENAME %(OLDMBOXNAME user.${user}.Sub NEWMBOXNAME user.anne.Mine PARTITION default)`,
  (user) => `APPLY RENAME %(OLDMBOXNAME user.anne NEWMBOXNAME user.${user}.Sub PARTITION default)`,
  (user) =>
    `APPLY RENAME %(OLDMBOXNAME user.anne NEWMBOXNAME user.${user}.Other PARTITION default)`,
  (user, id) => `APPLY EXPUNGE %(MBOXNAME user.${user} UNIQUEID ${id} UID (1))`,
  (user) => `APPLY QUOTA %(ROOT user.${user} LIMIT 1)`,
  (user) => `APPLY UNQUOTA user.${user}`,
  (user, id) =>
    `APPLY SEEN %(USERID ${user} UNIQUEID ${id} LASTREAD 2 LASTUID 2 LASTCHANGE 2 SEENUIDS 1:2)`,
  (user) => `APPLY SUB %(USERID ${user} MBOXNAME user.${user}.Sub)`,
  (user) => `APPLY UNSUB %(USERID ${user} MBOXNAME user.${user})`,
  (user) => `APPLY ANNOTATION %(MBOXNAME user.${user} ENTRY /comment USERID "" VALUE mine)`,
  (user) => `APPLY UNANNOTATION %(MBOXNAME user.${user} ENTRY /comment USERID "")`,
  (user) => `APPLY SIEVE %(USERID ${user} FILENAME x.script LAST_UPDATE 2 CONTENT discard;)`,
  (user) => `APPLY UNSIEVE %(USERID ${user} FILENAME x.script)`,
  (user) => `APPLY ACTIVATE_SIEVE %(USERID ${user} FILENAME x.bc)`,
  (user) => `APPLY UNACTIVATE_SIEVE %(USERID ${user})`,
  (user) => `APPLY UNUSER ${user}`,
  (user) => `APPLY LOCAL_UNUSER ${user}`,
];

async function everything(): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const line of [
    "GET USER bob",
    "GET META bob",
    "GET FULLMAILBOX user.bob",
    "GET MAILBOXES (lists)",
  ]) {
    found.push(await admin.command(line));
  }
  found.push(await admin.command(fetch("user.bob", "bobs-inbox")));
  found.push(await admin.command("GET ANNOTATION user.bob"));
  return found;
}

describe("an account for one user", () => {
  test.each(COMMANDS.map((make) => [make("bob", "bobs-inbox"), make] as const))(
    "%s answers as if bob were not there",
    async (_, make) => {
      const before = await everything();
      expect(before[0]).toHaveProperty("data.length", 6);
      const bob = await anne.command(make("bob", "bobs-inbox"));
      const nobody = await anne.command(make("nobody", "nobodys-inbox"));
      expect(JSON.stringify(bob).replaceAll("bob", "nobody")).toBe(JSON.stringify(nobody));
      expect(bob.data.join()).not.toMatch(/secret|hush|bobs-/);
      expect(await everything()).toEqual(before);
    },
  );

  test("what it reads, moves or removes of bob answers as what is not there", async () => {
    await admin.command("RESTART"); // nothing is staged
    for (const make of COMMANDS) {
      const line = make("bob", "bobs-inbox");
      const nobodys = make("nobody", "nobodys-inbox");
      // What would have to be made is denied instead.
      const makes = /^(APPLY (LOCAL_)?(MAILBOX|QUOTA|SEEN|SUB|SIEVE|RENAME) |RESTORE )/;
      if (makes.test(line)) continue;
      const absent = JSON.stringify(await admin.command(nobodys));
      expect([line, JSON.stringify(await anne.command(line))]).toEqual([line, absent]);
    }
  });

  test.each([
    "GET MAILBOXES (lists)",
    "GET FULLMAILBOX lists",
    "APPLY UNMAILBOX lists",
    'GET ANNOTATION ""',
    'APPLY ANNOTATION %(MBOXNAME "" ENTRY /motd USERID "" VALUE x)',
    `APPLY ${mailbox("shared.new", "new-one", "")}`,
  ])("%s: what belongs to no user is out of bounds too", async (line) => {
    const before = await everything();
    const { data } = await anne.command(line);
    expect(data).toEqual([]);
    expect(await everything()).toEqual(before);
  });

  test("a message that somebody else has cannot be had by its GUID", async () => {
    const line = `APPLY RESERVE %(PARTITION default MBOXNAME (user.bob) GUID (${GUID}))`;
    expect(await anne.command(line)).toEqual({ data: [`MISSING (${GUID})`], status: "OK success" });
    const apply = `APPLY ${mailbox("user.anne", "annes-inbox", RECORD)}`;
    expect((await anne.command(apply)).status).toStartWith("NO ");
    expect((await admin.command(line)).data).toEqual([]);
  });

  test.each(["APPLY", "RESTORE"])(
    "%s of a mailbox with bob's uniqueid is denied as bob's mailbox is",
    async (verb) => {
      const before = await everything();
      for (const id of ["bobs-inbox", "bobs-sub", "the-lists"]) {
        const [own, bobs] = ["user.anne.New", "user.bob"].map((name) => mailbox(name, id, ""));
        const told = await anne.command(`${verb} ${own}`);
        expect(told).toEqual(await anne.command(`${verb} ${bobs}`));
        expect(told.status).toStartWith("NO IMAP_PERMISSION_DENIED");
      }
      const moved = await anne.command(`APPLY ${mailbox("user.anne.New", "annes-inbox", "")}`);
      expect(moved.status).toStartWith("NO IMAP_MAILBOX_MOVED");
      expect(await everything()).toEqual(before);
    },
  );

  test("its own user it may do everything with", async () => {
    await ok(anne, `APPLY MESSAGE (%{default ${GUID} ${MESSAGE.length}}\r\n${MESSAGE})`);
    await ok(anne, `APPLY ${mailbox("user.anne.Mine", "annes-own", RECORD)}`);
    expect((await anne.command(fetch("user.anne.Mine", "annes-own"))).data[0]).toContain("secret");
    await ok(anne, "APPLY UNMAILBOX user.anne.Mine");
  });
});

describe("scopes", () => {
  test("everything, shared and users are told apart", () => {
    const scope = scopeOf(["anne", "a.b@example.com", "shared"]);
    expect(mayTouchUser(scope, "anne")).toBe(true);
    expect(mayTouchUser(scope, "annette")).toBe(false);
    expect(mayTouchUser(scope, "shared")).toBe(false);
    for (const name of [
      "user.anne",
      "user.anne.Sub",
      "DELETED.user.anne.Sub.5F3A2B1C",
      "lists.dev",
    ]) {
      expect(mayTouchMailbox(scope, name)).toBe(true);
    }
    expect(mayTouchMailbox(scope, "example.com!user.a^b.Sub")).toBe(true);
    expect(mayTouchMailbox(scope, "user.a^b@example^com")).toBe(true);
    expect(mayTouchMailbox(scope, "user.bob")).toBe(false);
    expect(mayTouchMailbox(scopeOf(["anne"]), "lists")).toBe(false);
    expect(mayTouchMailbox(scopeOf(["*"]), "user.bob")).toBe(true);
  });
});
