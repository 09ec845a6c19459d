/**
 * The sync place against real Cyrus: reading gives what Cyrus' own tools say, and Cyrus takes what
 * is sent.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { utf8 } from "../../src/core/bytes.ts";
import type { ApplyCommand } from "../../src/model/apply.ts";
import { type MailboxState, recordsOf } from "../../src/model/mailbox.ts";
import { ownerKey } from "../../src/model/names.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { basicRecordCrc, flagsCrc } from "../../src/model/sync_crc.ts";
import type { PlaceSession, WritablePlace } from "../../src/places/place.ts";
import type { SyncOptions } from "../../src/places/sync/sync_options.ts";
import { openSyncPlace } from "../../src/places/sync/sync_place.ts";
import { readsConform } from "../places/reading_conformance.ts";
import { copyUser } from "../support/copy_user.ts";
import { type Lab, labLog, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { granted, ownersIn, recordsIn } from "../support/places.ts";
import { applyTo, newStorePlace, put, replicate } from "../support/replication.ts";
import { guidOf, message, record, stateOf } from "../support/store_fixture.ts";

const isThere = has("a Cyrus server");
const WHOSE = { userid: "carl" } as const;
const MECHANISMS = "csync_sasl_mech_list: PLAIN SCRAM-SHA-256";
let full: Lab;
let empty: Lab;

beforeAll(async () => {
  if (!isThere) return;
  [full, empty] = await Promise.all([labUp(), labUp("--set", MECHANISMS)]);
  await full.run("user", "ann");
  await full.run("fill", "ann", "40", "--seed", "1", "--avg-kb", "6");
}, 120_000);
afterAll(async () => {
  if (isThere) await Promise.all([full.down(), empty.down()]);
});

function openLab(
  lab: Lab,
  flavour: "csync" | "imap",
  change: Partial<SyncOptions> = {},
): Promise<WritablePlace> {
  const port = flavour === "csync" ? lab.syncPort : lab.imapPort;
  return openSyncPlace({
    address: { flavour, isTls: false, user: "admin", host: "127.0.0.1", port },
    password: () => Promise.resolve("labpass"),
    retries: { count: 1, firstMs: 50 },
    silenceMs: 30_000,
    ...change,
  });
}

/** What makes two mailboxes the same, whatever a server prints beside. */
function essence(state: MailboxState) {
  const { name, uniqueid, type, syncCrc, syncCrcAnnot, lastUid, highestmodseq } = state;
  const { uidvalidity, acl, options, annotations, foldermodseq, createdmodseq } = state;
  return {
    ...{ name, uniqueid, type, syncCrc, syncCrcAnnot, lastUid, highestmodseq, uidvalidity },
    ...{ acl, options, foldermodseq, createdmodseq },
    annotations: annotations.map(({ entry, value }) => `${entry} ${value}`).sort(),
  };
}

async function stage(session: PlaceSession, bytes: Uint8Array): Promise<void> {
  const writer = session.stage({
    ...{ partition: "nowhere", guid: guidOf(bytes), size: bytes.length },
  });
  await writer.write(bytes);
  await writer.end();
}

if (isThere) {
  for (const flavour of ["csync", "imap"] as const) {
    readsConform(`a Cyrus server over ${flavour}`, {
      open: () => openLab(full, flavour),
      owners: [{ kind: "user", userid: "ann" }],
    });
  }
}

describe.if(isThere)("openSyncPlace() and a real Cyrus", () => {
  test("what is read over csync and within IMAP is what Cyrus counts and shows", async () => {
    const places = [await openLab(full, "csync"), await openLab(full, "imap")];
    const [one, other] = await Promise.all(places.map((place) => place.user("ann").then(granted)));
    expect(one?.mailboxes.length).toBe(13);
    expect(other).toEqual(one as NonNullable<typeof one>);
    for (const place of places) {
      for (const { name } of one?.mailboxes ?? []) {
        const { state, records } = granted(await place.readMailbox(name));
        let crc = 0;
        for (const found of await recordsIn(records)) {
          if (!found.expunged) crc ^= basicRecordCrc(found, flagsCrc(found.flags));
        }
        expect([name, crc >>> 0]).toEqual([name, state.syncCrc ?? -1]);
      }
    }
    const shown = await full.run("show", "index", "user/ann");
    const inbox = granted(await (places[0] as WritablePlace).readMailbox("user.ann"));
    for (const { uid, guid, modseq, size, expunged } of await recordsIn(inbox.records)) {
      if (expunged) continue; // mbexamine shows the living
      expect(shown).toMatch(new RegExp(`> UID:0*${uid} .*SIZE:${size}\\b`));
      expect(shown).toContain(`GUID:${guid} MODSEQ:${modseq} `);
    }
    for (const place of places) await place.close();
  });

  test("Cyrus takes a user over csync and within IMAP, and finds it sound", async () => {
    const source = await openLab(full, "csync");
    const before = granted(await source.user("ann"));
    for (const flavour of ["csync", "imap"] as const) {
      const target = await openLab(empty, flavour, { compress: true });
      const session = await target.openSession();
      await copyUser("ann", source, session);
      const after = granted(await target.user("ann"));
      expect(after.mailboxes.map(essence)).toEqual(before.mailboxes.map(essence));
      expect([after.subscriptions, after.seen]).toEqual([before.subscriptions, before.seen]);
      expect(after.quotas.map(({ limits }) => limits)).toEqual(
        before.quotas.map(({ limits }) => limits),
      );
      expect(await empty.run("show", "check", "ann")).not.toMatch(/uid|mismatch|missing|reset/);
      expect(labLog(empty)).not.toMatch(/IOERROR|CRC|assert|Fatal/);
      expect(labLog(empty)).toMatch(/login: .* SCRAM-SHA-256/);
      const [{ name, uniqueid } = before.mailboxes[0] as MailboxState] = before.mailboxes;
      const guids = (await recordsIn(granted(await source.readMailbox(name)).records)).map(
        ({ guid }) => guid,
      );
      await session.restart();
      const request = {
        partition: "default",
        mailboxes: [name],
        guids: [...guids, guidOf(utf8("x"))],
      };
      expect(granted(await session.reserve(request))).toEqual([guidOf(utf8("x"))]);
      expect(uniqueid.length).toBeGreaterThan(8);
      if (flavour === "csync") {
        granted(await session.apply({ kind: "unuser", userid: "ann" }));
        expect(granted(await target.user("ann")).mailboxes).toEqual([]);
      }
      await session.close();
      await target.close();
    }
    await source.close();
  }, 120_000);

  test("a script of a long name is made active, which Cyrus calls by encoded words", async () => {
    const owner = { kind: "user", userid: "carl" } as const;
    const source = newStorePlace();
    await put(source, "user.carl", []);
    const script = { ...WHOSE, filename: `${"long-".repeat(25)}.script`, lastUpdate: 1 } as const;
    await applyTo(source, { kind: "sieve", ...script, content: utf8("keep;") });
    const active = script.filename.replace("script", "bc");
    await applyTo(source, { kind: "activateSieve", ...WHOSE, filename: active });
    for (const change of [{}, { sieve: "files" }] as const) {
      const target = await openLab(empty, "csync", change);
      expect(await replicate(owner, { source, target })).toMatchObject({ failures: [] });
      expect(await replicate(owner, { source, target })).toMatchObject({ steps: [] });
      await target.close();
      const files = await openLab(empty, "csync", { sieve: "files" });
      const { sieve } = granted(await files.meta("carl"));
      expect(sieve).toContainEqual(expect.objectContaining({ filename: active, isActive: true }));
      const session = await files.openSession();
      granted(await session.apply({ kind: "unactivateSieve", ...WHOSE }));
      await session.close();
      await files.close();
    }
    await source.close();
  });

  test("an administrator within IMAP is told who is there, if there are no domains", async () => {
    const commands = ["CREATE lists", "CREATE lists/dev.x", "CREATE lists/gone"];
    const rights = "SETACL lists/gone admin lrswipkxtecda";
    const users = ["CREATE user/q@example.com", "CREATE user/a.b"];
    await empty.talk(
      "imap",
      "admin",
      [...commands, rights, "DELETE lists/gone", ...users].join("\n"),
    );
    const place = await openLab(empty, "imap");
    const owners = (await ownersIn(place)).map(ownerKey);
    expect(owners.sort()).toEqual(
      expect.arrayContaining(["shared:lists", "user:a.b", "user:q@example.com"]),
    );
    const { mailboxes } = granted(await place.sharedMailboxes("lists"));
    const names = mailboxes.map(({ name }) => name.replace(/[0-9A-F]{8}$/, "TIME"));
    expect(names.sort()).toEqual(["DELETED.lists.gone.TIME", "lists", "lists.dev^x"]);
    await place.close();

    const domains = await labUp("--set", "virtdomains: userid");
    await domains.talk("imap", "admin", "CREATE user/fred@example.com");
    const other = await openLab(domains, "imap");
    expect(other.holds.userList).toBe(false);
    expect((await other.owners()).kind).toBe("refused");
    await other.close();
    await domains.down();
  });

  test("every refusal of Cyrus has its reason, and the session goes on", async () => {
    const place = await openLab(empty, "csync");
    const session = await place.openSession();
    const reasonOf = async (command: ApplyCommand) => {
      const outcome = await session.apply(command);
      return outcome.kind === "ok" ? "ok" : outcome.reason;
    };
    const mailbox = (state: MailboxState, records: readonly MailRecord[] = []): ApplyCommand => {
      return { kind: "mailbox", state, records: recordsOf(records) };
    };
    const name = "user.bob";
    const first = [record(1), record(2)];
    await stage(session, message(1));
    await stage(session, message(2));
    granted(await session.flush());
    const state = stateOf(name, first, { partition: "nowhere" });
    expect(await reasonOf(mailbox(state, first))).toBe("ok");
    expect(granted(await place.mailboxes([name]))[0]?.partition).toBe("default");
    const more = record(3);
    const missing = stateOf(name, [...first, more]);
    const empties = record(3, { size: 0 });
    const since = { modseq: 99n };
    const changed: ApplyCommand = { kind: "mailbox", state, records: recordsOf([]), since };
    const table: [string, ApplyCommand][] = [
      ["checksum", mailbox({ ...state, syncCrc: 1 })],
      ["checksum", mailbox({ ...state, highestmodseq: 1n })],
      ["changed", changed],
      ["moved", mailbox({ ...state, uniqueid: "another" })],
      ["moved", mailbox({ ...state, name: "user.bob.Other" })],
      // Cyrus would end its process over these.
      ["checksum", mailbox(missing, [more])],
      ["notSupported", mailbox(missing, [empties])],
      ["notSupported", mailbox({ ...state, type: "y" })],
      ["notSupported", mailbox({ ...state, annotations: [bigAnnotation()] })],
      ["failed", mailbox(stateOf("user.nobody.Sub", []))],
      ["nonexistent", { kind: "unmailbox", name: "user.bob.None" }],
      ["moved", { kind: "expunge", name, uniqueid: "another", uids: [1] }],
      ["ok", { kind: "expunge", name, uniqueid: state.uniqueid, uids: [1] }],
    ];
    for (const [reason, command] of table) {
      expect([reason, await reasonOf(command)]).toEqual([reason, reason]);
    }
    const none = { mailbox: name, uniqueid: state.uniqueid, partition: "default", uid: 9 };
    expect(await place.message({ ...none, guid: guidOf(message(9)) })).toMatchObject({
      reason: "nonexistent",
    });
    expect(await place.readMailbox("user.bob.None")).toMatchObject({ reason: "nonexistent" });
    await session.close();
    await place.close();
    const files = await openLab(empty, "csync", { sieve: "files" });
    const old = await files.openSession();
    const scripts = stateOf("user.bob.#sieve", [], { type: "f" });
    expect(await old.apply(mailbox(scripts))).toMatchObject({
      ...{ kind: "refused", reason: "badParameters" },
    });
    granted(
      await old.apply({
        ...{ kind: "sieve", userid: "bob", filename: "a.script", lastUpdate: 99 },
        content: utf8("keep;\r\n"),
      }),
    );
    expect(granted(await files.meta("bob")).sieve.map(({ filename }) => filename)).toEqual([
      "a.script",
    ]);
    expect(Buffer.from(granted(await files.sieveScript("bob", "a.script"))).toString()).toBe(
      "keep;\r\n",
    );
    await old.close();
    await files.close();
    expect(labLog(empty)).not.toMatch(/assert|signaled to death/);
  }, 60_000);
});

function bigAnnotation() {
  return { entry: "/comment", userid: "", modseq: 1n, value: new Uint8Array(128 * 1024) };
}
