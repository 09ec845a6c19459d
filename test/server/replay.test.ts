/**
 * Every transcript of a real Cyrus, its client's side played to `bobbin serve`: the answers are
 * those that Cyrus gave, status token and data lines, or the difference stands below with its
 * reason.
 */
import { describe, expect, test } from "bun:test";
import { CAPTURE_SETS, capturesOf } from "../support/captures.ts";
import { catchUp, chainsOf, type Exchange, isSame, messagesIn, replay } from "../support/replay.ts";
import { testServer } from "../support/serve.ts";

/** Before these something was done to the replica by other means than the protocol. */
const REPLICA_CHANGED = /\/(3[0-3]-|.*-05-conflict)/;

interface Difference {
  /** Of `captures/50-raw-apply`. */
  readonly capture: RegExp;
  /** Of the command; every command of the capture if left out. */
  readonly command?: RegExp;
  /** The answers are the same but for this key, which ours do not have. */
  readonly unsaid?: string;
  /** Commands of all transcripts to which it applies: it must not swallow more. */
  readonly count: number;
  readonly why: string;
}

/** Where our answers are other than Cyrus', and why. Each must be met, as often as it says. */
const DIFFERENT: readonly Difference[] = [
  {
    capture: /./,
    unsaid: "FOLDERMODSEQ",
    count: 30,
    why: "where it was not sent none is made up: it would differ from the sender's disk for ever",
  },
  {
    capture: /\/(27-variant-A|41-)/,
    command: /u3|#sieve|META u1|FETCH_SIEVE/,
    count: 14,
    why:
      "Cyrus makes scripts into messages of #sieve, and back; for us files and messages " +
      "are two things",
  },
  {
    capture: /\/(3[45]|39|41|4[567])-/,
    command: /GET (USER|MAILBOXES) |get user|MBOXNAME user.u1.twice/,
    count: 35,
    why:
      "user.u1.twice and .extra were made on the replica itself, and 44 left empty mailboxes " +
      "behind where Cyrus died: neither is here",
  },
  {
    capture: /\/(37|51)-/,
    command: /AHU5AGxhYnBhc3M=|NOOP|EXIT|u9|RESTART|RESTORE/,
    count: 15,
    why: "there are no accounts that may sign in and then do nothing at all",
  },
  {
    capture: /\/(40|43|44)-/,
    command: /APPLY MESSAGE/,
    count: 12,
    why:
      "the SHA-1 of a message is checked as it comes; Cyrus checks it, and aborts, when it " +
      "is used",
  },
  {
    capture: /\/(40|44)-/,
    command: /NOOP|EXIT|APPLY MAILBOX|GET FULLMAILBOX/,
    count: 24,
    why: "where Cyrus aborts or asserts the connection lives on here",
  },
  {
    capture: /\/41-/,
    command: /GET ANNOTATION user.u1/,
    count: 1,
    why: "3.6.1 does not find the annotations of a mailbox in the uuid layout",
  },
  {
    capture: /\/4[79]-|\/50-/,
    command: /GET (MAILBOXES|USER|QUOTA)/,
    count: 5,
    why:
      "RENAME raises FOLDERMODSEQ in Cyrus, ours is what the master said last; 3.6.1 knows two " +
      "of the quota resources by other names only; a mailbox annotation without MODSEQ is kept",
  },
  {
    capture: /\/50-/,
    command: /MBOXNAME user\.v7\.sub|user\.v1\.part|EXPUNGE|RENAME %\(OLDMBOXNAME user\.u2/,
    count: 10,
    why:
      "a folder may come before its INBOX, partitions are names and no places, to expunge what " +
      "is not there is done already, and there was no user.u2 to rename",
  },
  {
    capture: /\/50-/,
    command: /LAST_UID 4 HIGHESTMODSEQ 9 /,
    count: 3,
    why: "annotations without MODSEQ, as 2.5 and 3.0 send them, are taken",
  },
  {
    capture: /\/50-/,
    command: /badtype|typej|UNUSER|NOOP|EXIT/,
    count: 20,
    why: "unknown types, UNUSER of nobody: Cyrus of one version or another dies of them",
  },
  {
    capture: /\/50-/,
    command: /GET ANNOTATION|bad\.script|GET META/,
    count: 13,
    why:
      "annotations are answered where 3.6.1 forgets to; scripts are kept as they are, not " +
      "compiled",
  },
  {
    capture: /\/51-/,
    command: /GET (USER|MAILBOXES)/,
    count: 6,
    why: "the replica had other mailboxes by then, which no transcript shows being made",
  },
  {
    capture: /\/(53|54)-/,
    count: 25,
    why: "they go on from a state that no transcript shows being made",
  },
  {
    capture: /\/(23|24)-|36-to-master-02/,
    command: /RESERVE/,
    count: 3,
    why: "master without conversations finds no message to reserve; here they are found",
  },
  {
    capture: /-to-.*-0[45]-/,
    command: /GET (USER|MAILBOXES)/,
    count: 10,
    why: "FOLDERMODSEQ after RENAME, and RECENT* of a message appended on the replica, as above",
  },
  {
    capture: /(36-to-master|master-to-36)-08-/,
    count: 42,
    why:
      "the two Cyrus cannot agree on a thread id that begins with 0 and give up; the store has " +
      "both forms of the checksum",
  },
];

function reasonFor(exchange: Exchange): Difference | undefined {
  const [capture = ""] = exchange.where.split(" #");
  return DIFFERENT.find(
    (one) =>
      one.capture.test(capture) &&
      (one.command?.test(exchange.command) ?? true) &&
      (one.unsaid === undefined || isSame(without(exchange, one.unsaid))),
  );
}

/** The exchange as if Cyrus had left `key` out of the lines in which we have. */
function without(exchange: Exchange, key: string): Exchange {
  const { expected, got } = exchange;
  const text = new RegExp(`"${key}":"[^"]*",`);
  const data = expected.data.map((line) =>
    got.data.includes(line) ? line : line.replace(text, ""),
  );
  return { ...exchange, expected: { ...expected, data: data.sort() } };
}

const met = new Map<Difference, number>();

describe("the transcripts", () => {
  test.each([...CAPTURE_SETS])("%s: bobbin serve answers as Cyrus did", async (set) => {
    const captures = capturesOf(set);
    const messages = messagesIn(captures);
    const wrong: string[] = [];
    let same = 0;
    let explained = 0;
    for (const chain of chainsOf(captures)) {
      const server = await testServer();
      for (const capture of chain) {
        if (REPLICA_CHANGED.test(capture.name)) await catchUp(capture, server.place, messages);
        for (const exchange of await replay(capture, server.port)) {
          const reason = reasonFor(exchange);
          if (isSame(exchange)) same++;
          else if (reason === undefined) wrong.push(describeDifference(exchange));
          else {
            met.set(reason, (met.get(reason) ?? 0) + 1);
            explained++;
          }
        }
      }
      await server.stop();
    }
    expect(wrong).toEqual([]);
    // Most answers are the same, or the list has swallowed what it was not meant to.
    expect(same).toBeGreaterThan(explained * 5);
  });

  test("every reason on the list is met, as often as it says", () => {
    const wrong = DIFFERENT.filter((one) => met.get(one) !== one.count);
    expect(wrong.map((one) => `${met.get(one)}, not ${one.count}: ${one.why}`)).toEqual([]);
  });
});

function describeDifference({ where, command, expected, got }: Exchange): string {
  const missing = expected.data.filter((line) => !got.data.includes(line));
  const extra = got.data.filter((line) => !expected.data.includes(line));
  const lines = [...missing.map((line) => `- ${line}`), ...extra.map((line) => `+ ${line}`)];
  return (
    `${where} ${command.slice(0, 120)}: ${expected.status} | ` +
    `${got.status}\n${lines.join("\n")}`
  );
}
