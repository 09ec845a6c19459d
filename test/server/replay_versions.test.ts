/**
 * The transcripts of other versions of Cyrus, their client's side played to `bobbin serve`. It
 * answers as that version did, or the difference stands below with its reason, and no version's
 * words end a session.
 */
import { describe, expect, test } from "bun:test";
import { recordsOf } from "../../src/model/mailbox.ts";
import { type CaptureSet, capturesOf, OTHER_SETS } from "../support/captures.ts";
import { catchUp, chainsOf, type Exchange, isSame, messagesIn, replay } from "../support/replay.ts";
import { applyTo } from "../support/replication.ts";
import { testServer } from "../support/serve.ts";
import { stateOf } from "../support/store_fixture.ts";

/** Before these something was done to the replica by other means than the protocol. */
const REPLICA_CHANGED = /\/3[0-3]-/;

/** A script to find out what a version refuses, keeps and dies of. */
const RAW_SCRIPT = /\/5[56]-/;

const raw = (command: RegExp, count: number, why: string) => ({
  ...{ capture: RAW_SCRIPT, command, count, why },
});

const RAW = [
  raw(/^APPLY CAPABILITIES/, 10, "up to 3.4 there are none"),
  raw(/^APPLY ACTIVATE_SIEVE/, 10, "before 3.6 any name is taken; since then the error is unknown"),
  raw(
    /^GET META/,
    15,
    "the mailbox of the scripts was enabled, which hides files; up to 3.4 it was not",
  ),
  raw(/^APPLY ANNOTATION.*(vendor|specialuse)/, 12, "entries that a version does not define"),
  raw(
    /^APPLY (UN)?ANNOTATION/,
    10,
    "2.5 takes them with their mailbox only and 3.0 no VALUE NIL; 2.4 dies of UNANNOTATION",
  ),
  raw(/^GET ANNOTATION/, 32, "an empty value is kept here, and is none since 3.0; and as above"),
  raw(
    /^APPLY MAILBOX .*MBOXNAME "user\.ann\.(\[x\]|a\(b\)c|star\*)"/,
    3,
    "2.5 refuses these names",
  ),
  raw(
    /^APPLY MAILBOX .*MBOXNAME ("user\.ann\.(a\{b|back)|user |user\.ann\.(&bad|\xe4))/,
    45,
    "2.4 takes these names, and so does a copy of it; later versions do not",
  ),
  raw(
    /^APPLY MAILBOX .*MBOXNAME ("user\.ann\.\x01ctl"|user\.ann\.(\.empty|p%70q))/,
    30,
    "a name that no path can be made of is a bad parameter; 2.4 takes it, later ones say no more",
  ),
  raw(/^APPLY MAILBOX .*MBOXTYPE /, 17, "types that a version does not know, or dies of"),
  raw(/^APPLY MAILBOX .*MBOXNAME user\.ann\.nopart/, 10, "there are no partitions to be unknown"),
  raw(/^APPLY MAILBOX .*MBOXNAME user\.ann\.v\d/, 6, "2.4 compares a sum of 0, master dies of 99"),
  raw(
    /^APPLY MAILBOX .*MBOXNAME user\.ann\.k\d/,
    52,
    "Cyrus dies of a bare NIL, and calls what is no atom a protocol error",
  ),
  raw(
    /^GET (USER|MAILBOXES|FULLMAILBOX)/,
    54,
    "what was taken or refused before, by these reasons",
  ),
  raw(/^GET QUOTA/, 15, "2.4 keeps STORAGE alone; up to 3.8 there are not the new names"),
  raw(/^GET UNIQUEIDS/, 5, "up to 3.0 it is not known, 3.2 and 3.4 die of it"),
] as const;

/** What is other than it was in Cyrus: the first that fits is the reason. */
const DIFFERENT = [
  ...RAW,
  {
    capture: /-2\.4\/(19|2|3[0-3])/,
    command: /UNANNOTATION|GET ANNOTATION/,
    count: 17,
    why: "2.4 dies of UNANNOTATION, and so keeps what is removed here",
  },
  {
    capture: /-(2\.4|2\.5|3\.0)\/(0|1|2|3[0-3])/,
    command: /^GET (USER|MAILBOXES|FULLMAILBOX|META)/,
    count: 95,
    why:
      "before 3.2 SYNC_CRC_ANNOT counts from another start; 2.4 has neither that nor " +
      "POP3_SHOW_AFTER nor GUIDs of scripts, and another word for no limit",
  },
  {
    capture: /-3\.2\/(0|1|2|3[0-3])/,
    command: /^GET (USER|META)/,
    count: 18,
    why: "3.2 tells the GUID of the bytecode that it has compiled; here there is none",
  },
  {
    capture: /-3\.4\/(0|1|2|3[0-3])/,
    command: /^GET (USER|MAILBOXES)/,
    count: 26,
    why: "3.4 makes mailboxes of type i above those that have no parent, and names them",
  },
  {
    capture: /-3\.[24]\/41-/,
    count: 30,
    why: "3.2 and 3.4 die of GET UNIQUEIDS of one that they do not have",
  },
  {
    capture: /\/(27|34|35|41|45|46|47)-/,
    count: 85,
    why:
      "mailboxes that no transcript shows being made are not here; an empty mailbox of another " +
      "uniqueid gives way, as in 3.6; scripts are files, and no messages as in 3.8 and 3.10",
  },
  {
    capture: /\/37-/,
    count: 21,
    why: "there are no accounts that may sign in and then do nothing at all",
  },
  {
    capture: /\/(39|40)-/,
    count: 45,
    why: "old servers end the session at what they cannot read; here it goes on",
  },
  {
    capture: /\/(43|44)-/,
    count: 81,
    why:
      "the SHA-1 of a message is checked as it comes, Cyrus aborts when it is used; 2.4 compares " +
      "a SYNC_CRC of 0; no FOLDERMODSEQ is made up",
  },
] as const satisfies readonly {
  readonly capture: RegExp;
  readonly command?: RegExp;
  readonly count: number;
  readonly why: string;
}[];

type Reason = (typeof DIFFERENT)[number];

function reasonFor({ where, command }: Exchange): Reason | undefined {
  const [capture = ""] = where.split(" #");
  return DIFFERENT.find(
    (one) => one.capture.test(capture) && (!("command" in one) || one.command.test(command)),
  );
}

/** Plays all transcripts of a version. */
async function exchangesOf(set: CaptureSet): Promise<Exchange[]> {
  const captures = capturesOf(set);
  const messages = messagesIn(captures);
  const exchanges: Exchange[] = [];
  for (const chain of chainsOf(captures)) {
    const server = await testServer();
    for (const capture of chain) {
      if (RAW_SCRIPT.test(capture.name)) {
        const inbox = { ...stateOf("user.ann", []), annotations: [] };
        await applyTo(server.place, { kind: "mailbox", state: inbox, records: recordsOf([]) });
      }
      if (REPLICA_CHANGED.test(capture.name)) await catchUp(capture, server.place, messages);
      exchanges.push(...(await replay(capture, server.port)));
    }
    await server.stop();
  }
  return exchanges;
}

const met = new Map<Reason, number>();

describe("the transcripts of other versions", () => {
  test.each([...OTHER_SETS])("%s: bobbin serve answers as that Cyrus did", async (set) => {
    const exchanges = await exchangesOf(set);
    const different = exchanges.filter((one) => !isSame(one));
    expect(exchanges.filter(({ got }) => got.status === "closed")).toEqual([]);
    expect(different.filter((one) => reasonFor(one) === undefined)).toEqual([]);
    for (const one of different) {
      const reason = reasonFor(one);
      if (reason !== undefined) met.set(reason, (met.get(reason) ?? 0) + 1);
    }
    const isRaw = ({ where }: Exchange) => RAW_SCRIPT.test(where);
    const [all, other] = [exchanges, different].map((list) => list.filter((one) => !isRaw(one)));
    expect(all?.length).toBeGreaterThan(3 * (other?.length ?? 0));
  });

  test("every reason on the list is met, as often as it says", () => {
    const wrong = DIFFERENT.filter((one) => met.get(one) !== one.count);
    expect(wrong.map((one) => `${met.get(one)}, not ${one.count}: ${one.why}`)).toEqual([]);
  });
});
