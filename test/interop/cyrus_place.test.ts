/**
 * A whole server read from its disk, against what its own sync_server answers to GET: every field
 * of every line, every record, both sync checksums.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { latin1 } from "../../src/core/bytes.ts";
import { decodeScriptName } from "../../src/formats/sieve/script_files.ts";
import type { Annotation } from "../../src/model/annotation.ts";
import type { MailboxState, SieveFile } from "../../src/model/mailbox.ts";
import type { MailRecord } from "../../src/model/record.ts";
import { ANNOT_VARIANTS, mailAnnotCrc, mailSyncCrc } from "../../src/model/sync_crc.ts";
import { cyrusPlace } from "../../src/places/cyrus/cyrus_place.ts";
import { readImapdConf } from "../../src/places/cyrus/server/imapd_conf.ts";
import { serverSource } from "../../src/places/cyrus/server_source.ts";
import type { Place } from "../../src/places/place.ts";
import { Csync } from "../support/csync.ts";
import { type Lab, labUp } from "../support/lab.ts";
import { has } from "../support/needs.ts";
import { bytesOf, granted, ownersIn, recordsIn } from "../support/places.ts";
import { answersOf, getAnswers } from "../support/sync_answers.ts";

/** Filling takes seconds, on a busy machine more. */
const HOOK_MS = 300_000;
const isLong = process.env["BOBBIN_TEST_SIZE"] === "long";

/** In one order, with values that a failed test can show. */
function shown(annotations: readonly Annotation[]) {
  return annotations
    .map(({ value, ...rest }) => ({ ...rest, value: latin1(value) }))
    .sort((left, right) =>
      JSON.stringify([left.entry, left.userid]) < JSON.stringify([right.entry, right.userid])
        ? -1
        : 1,
    );
}

function comparable(state: MailboxState) {
  const { annotations, ...rest } = state;
  return { ...rest, annotations: shown(annotations) };
}

/** What 3.6 does not print. */
function asPrinted(state: MailboxState): MailboxState {
  const { version: _, deletedmodseq: _1, userflags: _2, ...printed } = state;
  return printed;
}

function comparableRecord({ annotations, unlinked: _, ...record }: MailRecord) {
  return { ...record, annotations: shown(annotations) };
}

function byFilename(files: readonly SieveFile[]): SieveFile[] {
  return files.toSorted((left, right) => (left.filename < right.filename ? -1 : 1));
}

const VARIANTS: readonly {
  readonly name: string;
  readonly options: readonly string[];
  readonly users: readonly [string, string, ...string[]];
}[] = [
  {
    name: "by uniqueid, with conversations, virtual domains and reverse ACLs",
    options: [
      ...["--conversations", "on", "--set", "virtdomains: userid", "--set", "reverseacls: yes"],
      ...["--set", "conversations_max_thread: 3"],
    ],
    users: ["ann", "j.doe", "eve@example.com"],
  },
  {
    name: "by name, without conversations, with fulldirhash",
    options: ["--legacy-paths", "--set", "fulldirhash: yes"],
    users: ["ann", "j.doe"],
  },
];

for (const { name, options, users } of VARIANTS) {
  describe.skipIf(!has("a Cyrus server"))(`a server ${name}`, () => {
    let lab: Lab;
    let place: Place;
    /** One session takes `#sieve` as a mailbox, the other wants its scripts as files. */
    let client: Csync;
    let classic: Csync;

    beforeAll(async () => {
      lab = await labUp(...options);
      for (const [at, user] of users.entries()) {
        await lab.run("user", user);
        await lab.run("fill", user, isLong ? "200" : "20", "--seed", `${at}`, "--avg-kb", "2");
      }
      await lab.everything(users[0], users[1]);
      place = cyrusPlace(serverSource(readImapdConf(lab.conf)));
      client = await Csync.signedIn(lab.syncPort);
      classic = await Csync.signedIn(lab.syncPort);
      await client.command("APPLY CAPABILITIES (SIEVE-MAILBOX)");
    }, HOOK_MS);

    afterAll(async () => {
      client.close();
      classic.close();
      await place.close();
      await lab.down();
    }, HOOK_MS);

    test("has the users and the shared mailboxes", async () => {
      const owners = await ownersIn(place);
      const found = owners.map((one) => (one.kind === "user" ? one.userid : one.toplevel));
      expect(found.sort()).toEqual(["bob", "shared", ...users].sort());
    });

    test("MAILBOX lines and checksums are those of GET USER and GET MAILBOXES", async () => {
      let compared = 0;
      for (const owner of await ownersIn(place)) {
        const ours =
          owner.kind === "user"
            ? granted(await place.user(owner.userid)).mailboxes
            : granted(await place.sharedMailboxes(owner.toplevel)).mailboxes;
        const answers = await getAnswers(
          client,
          owner.kind === "user"
            ? { kind: "user", userid: owner.userid }
            : { kind: "mailboxes", names: ours.map((one) => one.name) },
        );
        const theirs = answersOf(answers, "mailbox").map(({ state }) => state);
        expect(ours.map((one) => one.name).sort()).toEqual(theirs.map((one) => one.name).sort());
        for (const state of theirs) {
          const own = ours.find((one) => one.name === state.name) ?? expect.unreachable();
          expect(comparable(asPrinted(own))).toEqual(comparable(state));
          compared += 1;
        }
      }
      expect(compared).toBeGreaterThan(35);
    });

    test("records are those of GET FULLMAILBOX, field by field", async () => {
      let compared = 0;
      let expunged = 0;
      for (const owner of await ownersIn(place)) {
        const mailboxes =
          owner.kind === "user"
            ? granted(await place.user(owner.userid)).mailboxes
            : granted(await place.sharedMailboxes(owner.toplevel)).mailboxes;
        for (const { name: mailbox, type = "" } of mailboxes) {
          if (type.includes("i")) continue;
          const [full] = answersOf(
            await getAnswers(client, { kind: "fullmailbox", name: mailbox }),
            "mailbox",
          );
          const { state, records } = granted(await place.readMailbox(mailbox));
          const own = (await recordsIn(records)).map(comparableRecord);
          expect(comparable(asPrinted(state))).toEqual(
            comparable(full?.state ?? expect.unreachable()),
          );
          expect(own).toEqual((full?.records ?? expect.unreachable()).map(comparableRecord));
          compared += own.length;
          expunged += own.filter((one) => one.expunged).length;
        }
      }
      expect(compared).toBeGreaterThan(40);
      expect(expunged).toBeGreaterThan(3);
    });

    test("QUOTA, SEEN, LSUB and SIEVE lines are those of GET USER", async () => {
      const totals = { quotas: 0, seen: 0, subscriptions: 0, sieve: 0 };
      for (const user of ["bob", ...users]) {
        const answers = await getAnswers(classic, { kind: "user", userid: user });
        const ours = granted(await place.user(user));
        // The server calls a script by the encoded words that 3.6 has put into its Subject.
        const sieve = answersOf(answers, "sieve").map(({ file }) => {
          return { ...file, filename: decodeScriptName(file.filename) };
        });
        const own = {
          quotas: ours.quotas,
          seen: ours.seen,
          subscriptions: ours.subscriptions,
          sieve: byFilename(ours.sieve),
        };
        expect(own).toEqual({
          quotas: answersOf(answers, "quota").map(({ quota }) => quota),
          seen: answersOf(answers, "seen").map(({ seen }) => seen),
          subscriptions: answersOf(answers, "subscriptions").flatMap(({ names }) => names),
          sieve: byFilename(sieve),
        });
        expect(granted(await place.meta(user)).sieve).toEqual(ours.sieve);
        for (const key of ["quotas", "seen", "subscriptions", "sieve"] as const) {
          totals[key] += own[key].length;
        }
      }
      expect(Object.values(totals).every((count) => count >= 2)).toBe(true);
    });

    test("quotas of every resource, and one without limits", async () => {
      for (const root of ["shared", "user.j^doe", "user.nobody"]) {
        const [theirs] = answersOf(await getAnswers(client, { kind: "quota", root }), "quota");
        expect(granted(await place.quota(root))).toEqual(theirs?.quota);
      }
    });

    test("the bytes of messages and scripts are those that the server gives", async () => {
      const { state, records } = granted(await place.readMailbox("user.ann"));
      const { uniqueid, partition } = state;
      for (const { uid, guid, expunged } of await recordsIn(records)) {
        if (expunged) continue;
        const bytes = await bytesOf(place, {
          mailbox: "user.ann",
          ...{ uniqueid, partition, uid, guid },
        });
        expect(Bun.SHA1.hash(bytes, "hex")).toBe(guid);
      }
      const command = { kind: "fetchSieve", userid: "ann", filename: "main.script" } as const;
      const [theirs] = answersOf(await getAnswers(classic, command), "sieveContent");
      const script = granted(await place.sieveScript("ann", "main.script"));
      expect(latin1(script)).toBe(latin1(theirs?.content ?? expect.unreachable()));
      expect(await place.sieveScript("ann", "nope.script")).toMatchObject({
        reason: "nonexistent",
      });
    });

    test("annotations of a mailbox and of the server", async () => {
      const sent = granted(await place.annotations("user.ann.Sent"));
      const { mailboxes } = granted(await place.user("ann"));
      const state = mailboxes.find((one) => one.name === "user.ann.Sent");
      expect(shown(sent)).toEqual(shown(state?.annotations ?? expect.unreachable()));
      expect(sent.length).toBeGreaterThan(2);
      const ofServer = granted(await place.annotations(""));
      expect(ofServer.map(({ value }) => latin1(value))).toContain("of the server");
      expect(await place.annotations("user.nobody")).toMatchObject({ reason: "nonexistent" });
    });

    test(
      "is read as of one moment while mail keeps arriving and changing",
      async () => {
        await lab.run("user", "stormy", "--plain");
        const seconds = isLong ? 60 : 2;
        let raging = true;
        const storm = lab.storm("stormy", seconds).finally(() => {
          raging = false;
        });
        let readings = 0;
        let refusals = 0;
        while (raging) {
          const { mailboxes, unreadable = [] } = granted(await place.user("stormy"));
          refusals += unreadable.length;
          expect(unreadable.filter(({ refusal }) => refusal.reason !== "busy")).toEqual([]);
          for (const { name: mailbox } of mailboxes) {
            const reading = await place.readMailbox(mailbox);
            if (reading.kind === "refused") {
              expect(["busy", "nonexistent"]).toContain(reading.reason);
              continue;
            }
            expectOneMoment(reading.value.state, await recordsIn(reading.value.records));
            readings += 1;
          }
        }
        await storm;
        expect(readings).toBeGreaterThan(2); // a busy machine gets few
        expect(refusals).toBeLessThan(readings / 20);
      },
      HOOK_MS,
    );
  });
}

/** State and records prove each other. */
function expectOneMoment(state: MailboxState, records: readonly MailRecord[]): void {
  const live = records.filter((one) => !one.expunged);
  const crcs = ANNOT_VARIANTS.map((variant) => mailAnnotCrc(live, variant));
  expect(mailSyncCrc(live)).toBe(state.syncCrc ?? expect.unreachable());
  expect(crcs).toContain(state.syncCrcAnnot ?? expect.unreachable());
  for (const { uid, modseq } of records) {
    expect(uid).toBeLessThanOrEqual(state.lastUid);
    expect(modseq <= state.highestmodseq).toBe(true);
  }
}
