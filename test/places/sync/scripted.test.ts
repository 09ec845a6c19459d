/**
 * The sync place against servers that play a script: transcripts of real Cyrus, old versions, and
 * misbehaviour.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { latin1 } from "../../../src/core/bytes.ts";
import type { ApplyCommand } from "../../../src/model/apply.ts";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { RefusalReason } from "../../../src/model/outcome.ts";
import type { WritablePlace } from "../../../src/places/place.ts";
import type { SyncOptions } from "../../../src/places/sync/sync_options.ts";
import { openSyncPlace } from "../../../src/places/sync/sync_place.ts";
import { bytesOfSide, capturesOf, linesOfSide, OTHER_SETS } from "../../support/captures.ts";
import { granted, recordsIn } from "../../support/places.ts";
import { type Answerer, type ScriptedPeer, scriptedPeer } from "../../support/scripted_peer.ts";
import { guidOf, message, record, stateOf } from "../../support/store_fixture.ts";

const BANNER = "* SASL PLAIN\r\n* SIEVE-MAILBOX\r\n* OK beta Cyrus sync server 3.6.1-Debian\r\n";
const OLD_BANNER = "* SASL PLAIN\r\n* OK beta Cyrus sync server v2.4.17\r\n";
const open: { close(): Promise<void> }[] = [];
let peer: ScriptedPeer | undefined;

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await peer?.stop();
});

/** Signs in, enables what is asked for, and leaves the rest to `answer`. */
async function openScripted(
  answer: Answerer,
  options: Partial<SyncOptions> & { readonly banner?: string } = {},
): Promise<WritablePlace> {
  const { banner = BANNER, ...change } = options;
  peer = await scriptedPeer(banner, (line, connection) => {
    if (line.startsWith("AUTHENTICATE")) return "OK Success (no protection)\r\n";
    if (line === "RESTART") return "OK Restarting\r\n";
    if (line.startsWith("APPLY CAPABILITIES")) return "* ENABLED (SIEVE-MAILBOX)\r\nOK success\r\n";
    return answer(line, connection);
  });
  const place = await openSyncPlace({
    address: { flavour: "csync", isTls: false, user: "admin", host: "127.0.0.1", port: peer.port },
    password: () => Promise.resolve("labpass"),
    retries: { count: 2, firstMs: 5 },
    silenceMs: 2_000,
    ...change,
  });
  open.push(place);
  return place;
}

const UNSUB: ApplyCommand = { kind: "unsub", userid: "anne", name: "user.anne" };

const mailboxLine = (name: string) =>
  `* MAILBOX %(UNIQUEID i-${name} MBOXNAME ${name} LAST_UID 0 HIGHESTMODSEQ 2 RECENTUID 0 ` +
  'RECENTTIME 0 POP3_LAST_LOGIN 0 UIDVALIDITY 7 PARTITION d ACL "" OPTIONS "" RECORD ())\r\n';

describe("the sync place and a server that is out of step", () => {
  test("an answer to something else is no answer, and is not taken for another's", async () => {
    const place = await openScripted((line) => {
      if (!line.startsWith("GET FULLMAILBOX")) return undefined;
      // The first answer is left out: each one behind it comes too early.
      return line.endsWith(".a") ? "" : `${mailboxLine("user.b")}OK success\r\n`;
    });
    const readings = ["user.a", "user.b"].map((name) => place.readMailbox(name));
    const [first] = await Promise.allSettled(readings);
    expect(first).toMatchObject({
      status: "rejected",
      reason: { code: "protocol", message: expect.stringContaining("an answer to something else") },
    });
  });

  test("an answer that drips has its time, and no more", async () => {
    let timer: Timer | undefined;
    const place = await openScripted(
      (line, connection) => {
        if (!line.startsWith("GET USER")) return undefined;
        clearInterval(timer);
        timer = setInterval(() => peer?.say(connection, "* "), 20);
        return "";
      },
      { silenceMs: 300, retries: { count: 0, firstMs: 1 } },
    );
    const asked = place.user("anne").catch((error: unknown) => error);
    expect(await asked).toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("has not come to an end of its answer"),
    });
    clearInterval(timer);
  });

  test("a line that cannot be read is not waited for to its end", async () => {
    const place = await openScripted(() => `* MAILBOX %(A {${64 * 1024 * 1024}}\r\n`);
    const asked = place.user("anne").catch((error: unknown) => error);
    expect(await asked).toMatchObject({ code: "protocol" });
  });
});

describe("the sync place and transcripts of real Cyrus", () => {
  const sets = ["captures", "captures-master", ...OTHER_SETS] as const;

  test.each([...sets])(
    "%s: every FULLMAILBOX and USER is understood to the last byte",
    async (set) => {
      const version = /-([\d.]+)$/.exec(set)?.[1] ?? "3.6.1";
      const sieve = ["3.8", "3.10", "3.6.1"].includes(version) ? "* SIEVE-MAILBOX\r\n" : "";
      const banner = `* SASL PLAIN\r\n${sieve}* OK beta Cyrus sync server ${version}\r\n`;
      let asked = 0;
      for (const capture of capturesOf(set)) {
        for (const connection of capture.connections) {
          const said = linesOfSide(connection, "S");
          const text = latin1(bytesOfSide(connection, "C"));
          const wanted = /^GET (FULLMAILBOX|USER) ([\w.]+)\r\n/m.exec(text);
          if (wanted === null || /COMPRESS|STARTTLS/.test(text)) continue;
          if (/\/5[56]-/.test(capture.name)) continue; // their literals are not told to the byte
          const [command = "", verb, name = ""] = wanted;
          // What the server said between this command and the next status line.
          const before = text.slice(0, text.indexOf(command));
          const statuses = (before.match(/^(AUTH|APPLY|GET|NOOP|RESTART)/gm) ?? []).length;
          const answer = answersAfter(said, statuses);
          if (answer === undefined) continue;
          const reply: Answerer = (line) => {
            if (line.startsWith("GET ANNOTATION")) return "OK success\r\n";
            return line.startsWith("GET ") ? answer : undefined;
          };
          const place = await openScripted(reply, { banner });
          if (verb === "USER") {
            const user = await place.user(name);
            const kind = answer.endsWith("OK success\r\n") ? "ok" : "refused";
            expect([capture.name, user.kind]).toEqual([capture.name, kind]);
            if (user.kind === "ok") {
              expect(user.value.mailboxes.length).toBe((answer.match(/\* MAILBOX /g) ?? []).length);
            }
          } else {
            const found = await place.readMailbox(name);
            const records = found.kind === "ok" ? await recordsIn(found.value.records) : [];
            expect(records.length).toBe((answer.match(/%\(UID /g) ?? []).length);
          }
          asked += 1;
          await open.pop()?.close();
          await peer?.stop();
        }
      }
      expect(asked).toBeGreaterThan(25);
    },
  );

  test("2.4 answers in lists over several lines, and is sent what it can take", async () => {
    const full =
      "* MAILBOX %(UNIQUEID 0a MBOXNAME {9+}\r\nuser.anne LAST_UID 1 HIGHESTMODSEQ 2 RECENTUID 0" +
      ' RECENTTIME 0 POP3_LAST_LOGIN 0 UIDVALIDITY 7 PARTITION fast ACL NIL OPTIONS "" SYNC_CRC 0' +
      " RECORD (\r\n  %(UID 1 MODSEQ 2 LAST_UPDATED 3 FLAGS (\\Seen) INTERNALDATE 4 SIZE 5" +
      ` GUID ${guidOf(message(1))}))) \r\n`.replace(") \r\n", ")\r\n") +
      "OK success\r\n";
    const place = await openScripted(
      (line) => {
        if (line.startsWith("GET FULLMAILBOX")) return full;
        if (line.startsWith("GET ANNOTATION")) return "OK success\r\n";
        return line.endsWith(")") ? "OK success\r\n" : undefined;
      },
      { banner: OLD_BANNER },
    );
    const { state, records } = granted(await place.readMailbox("user.anne"));
    expect([state.partition, (await recordsIn(records)).map(({ uid }) => uid)]).toEqual([
      "fast",
      [1],
    ]);
    expect([place.holds.annotations, place.holds.sieveFiles]).toEqual([false, true]);
    expect(await place.mailboxesByUniqueid(["0a"])).toMatchObject({ reason: "notSupported" });
    const session = await place.openSession();
    open.push(session);
    const content = Buffer.from("keep;");
    const script = { userid: "anne", filename: "a.script", lastUpdate: 9, content };
    granted(await session.apply({ kind: "sieve", ...script }));
    const sent = stateOf("user.anne", [], { partition: "nowhere", uniqueid: "0a" });
    granted(await session.apply({ kind: "mailbox", state: sent, records: recordsOf([]) }));
    const heard = peer?.heard.join("") ?? "";
    expect(heard).toContain("LAST_UPDATE 9 CONTENT {5+}\r\nkeep;)");
    expect(heard).toMatch(/SYNC_CRC 0 LAST_UID 0 .*PARTITION fast .*CREATEDMODSEQ 1/);
    expect(heard).not.toContain("SYNC_CRC_ANNOT");
    expect(
      await session.apply({
        kind: "mailbox",
        state: { ...sent, type: "f" },
        records: recordsOf([]),
      }),
    ).toMatchObject({ reason: "notSupported" });
  });
});

/** The answer to the command after `count` others, as it stood there. */
function answersAfter(said: ReturnType<typeof linesOfSide>, count: number): string | undefined {
  let statuses = 0;
  let answer = "";
  for (const { bytes, line } of said) {
    const text = latin1(bytes);
    const isStatus = line.kind === "text" && /^(OK|NO|BAD)\b/.test(text);
    if (statuses === count) answer += text;
    if (text.startsWith("* OK ")) answer = ""; // the end of the banner
    if (!isStatus) continue;
    if (statuses === count) return answer;
    statuses += 1;
  }
  return undefined;
}

describe("what a server says when it will not", () => {
  test("each token is its reason, with the key where there is one", async () => {
    const table: [string, RefusalReason][] = [
      ["IMAP_INVALID_USER No Such User", "invalidUser"],
      ["IMAP_MAILBOX_NONEXISTENT No Such Mailbox", "nonexistent"],
      ["IMAP_MAILBOX_CRC Checksum Failure", "checksum"],
      ["IMAP_SYNC_CHECKSUM Checksum Failure", "checksum"],
      ["IMAP_SYNC_CHANGED Changed since last sync", "changed"],
      ["IMAP_MAILBOX_MOVED Moved", "moved"],
      ["IMAP_MAILBOX_LOCKED Mailbox is locked", "busy"],
      ["IMAP_SYNC_BADSIEVE Bad", "badSieve"],
      ["IMAP_MAILBOX_NOTSUPPORTED No", "notSupported"],
      ["IMAP_PERMISSION_DENIED Permission denied", "permissionDenied"],
      ["IMAP_PROTOCOL_BAD_PARAMETERS near UID", "badParameters"],
      ["Unknown error", "failed"],
    ];
    let next = "";
    const place = await openScripted(() => `NO ${next}\r\n`);
    const session = await place.openSession();
    open.push(session);
    for (const [text, reason] of table) {
      next = text;
      expect(await session.apply(UNSUB)).toMatchObject({ kind: "refused", reason });
    }
    next = "IMAP_PROTOCOL_BAD_PARAMETERS near UID";
    expect(await place.readMailbox("user.anne")).toMatchObject({ field: "UID" });
  });

  test("a session that is ended, cut, silent or senseless throws; nothing goes twice", async () => {
    const table: [string, string, RegExp][] = [
      ["BYE shutting down\r\n", "unreachable", /has ended the session: BYE/],
      ["* Fatal error: Internal error\r\n", "unreachable", /Fatal error: Internal error/],
      ["close", "unreachable", /has closed the connection/],
      ["hello\r\n", "protocol", /has sent "hello"/],
      ["* MAILBOX %[\r\nOK\r\n", "protocol", /cannot be read/],
      ["* SURPRISE (a)\r\nOK yes\r\n", "protocol", /SURPRISE/],
      ["BAD IMAP_PROTOCOL_ERROR Failed to parse APPLY line\r\n", "protocol", /does not understand/],
    ];
    for (const [said, code, text] of table) {
      const place = await openScripted(() => said);
      const session = await place.openSession();
      open.push(session);
      const failed = session.apply(UNSUB);
      expect(failed).rejects.toMatchObject({ code });
      expect(failed).rejects.toThrow(text);
      await failed.catch(() => undefined);
      expect((peer?.heard.join("").match(/APPLY UNSUB/g) ?? []).length).toBe(1);
      for (const one of open.splice(0)) await one.close();
      await peer?.stop();
    }
    const silent = await openScripted(() => undefined, { silenceMs: 100 });
    const session = await silent.openSession();
    open.push(session);
    expect(session.apply(UNSUB)).rejects.toThrow(/has been silent/);
  });

  test("reads are tried again on a new connection, and no server dies of one twice", async () => {
    let answers = 0;
    const place = await openScripted((line, connection) => {
      answers += line.startsWith("GET") ? 1 : 0;
      return connection < 1 ? "close" : "OK success\r\n";
    });
    expect(granted(await place.user("anne")).mailboxes).toEqual([]);
    expect([answers, peer?.heard.length]).toEqual([2, 2]);
    for (const one of open.splice(0)) await one.close();
    await peer?.stop();
    const deadly = await openScripted((line) =>
      line.startsWith("GET USER anne") ? "close" : "OK success\r\n",
    );
    for (let time = 0; time < 3; time++) {
      expect(await deadly.user("anne")).toMatchObject({ kind: "refused", reason: "failed" });
    }
    expect(granted(await deadly.user("bob")).mailboxes).toEqual([]);
    expect(peer?.heard.join("").match(/GET USER anne/g)?.length).toBe(2);
  });

  test("a message that comes as another, or as NIL, is damaged and not given out", async () => {
    const guid = guidOf(message(1));
    const wrong = latin1(message(2));
    let said = `* MESSAGE %{default ${guid} ${wrong.length}}\r\n${wrong}\r\nOK success\r\n`;
    const place = await openScripted(() => said);
    const address = { mailbox: "user.a", uniqueid: "0a", partition: "default", uid: 1, guid };
    expect(await place.message(address)).toMatchObject({ reason: "damaged" });
    said = "* MESSAGE NIL\r\nOK success\r\n";
    expect(await place.message(address)).toMatchObject({ reason: "damaged" });
  });
});

describe("uploads", () => {
  test("batches end at 1024 files, a GUID goes once, a wrong large message aborts", async () => {
    const place = await openScripted((line) => {
      const isCommand = /^(APPLY MAILBOX|RESTART|GET)/.test(line) || line === ")";
      return isCommand ? "OK success\r\n" : undefined;
    });
    const session = await place.openSession();
    open.push(session);
    const send = async (bytes: Uint8Array, guid = guidOf(bytes)) => {
      const writer = session.stage({ partition: "default", guid, size: bytes.length });
      await writer.write(bytes);
      await writer.end();
    };
    for (let number = 0; number < 1500; number++) await send(message(number));
    granted(await session.flush());
    for (let number = 0; number < 10; number++) await send(message(number));
    granted(await session.flush());
    const heard = () => peer?.heard.join("") ?? "";
    const commands = heard().split("APPLY MESSAGE (").slice(1);
    expect(commands.map((one) => (one.match(/%\{default /g) ?? []).length)).toEqual([1024, 476]);
    const large = new Uint8Array(5 * 1024 * 1024).fill(0x61);
    await send(large, guidOf(message(1)).replace(/^../, "00"));
    expect(await session.flush()).toMatchObject({ kind: "refused", reason: "damaged" });
    const one = record(1);
    const state = stateOf("user.anne", [one]);
    const sent = { kind: "mailbox", state, records: recordsOf([one]) } as const;
    expect(await session.apply(sent)).toMatchObject({ kind: "refused", reason: "checksum" });
    expect(heard()).not.toContain("APPLY MAILBOX");
  });
});
