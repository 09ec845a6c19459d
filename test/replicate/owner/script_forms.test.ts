/** Scripts as files and as messages, where two places do not both keep the same. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { utf8 } from "../../../src/core/bytes.ts";
import { recordsOf } from "../../../src/model/mailbox.ts";
import type { WritablePlace } from "../../../src/places/place.ts";
import { type Held, withScriptsAlike } from "../../../src/replicate/owner/script_forms.ts";
import { granted } from "../../support/places.ts";
import { applyTo, newStorePlace } from "../../support/replication.ts";
import { standIn } from "../../support/stand_in.ts";
import { record, stateOf } from "../../support/store_fixture.ts";

const FRED = { kind: "user", userid: "fred" } as const;
const INBOX = stateOf("user.fred", []);

describe("withScriptsAlike()", () => {
  let files: WritablePlace;
  let mails: WritablePlace;
  beforeEach(async () => {
    files = newStorePlace();
    mails = newStorePlace();
    for (const place of [files, mails]) {
      await applyTo(place, { kind: "mailbox", state: INBOX, records: recordsOf([]) });
    }
    const script = { userid: "fred", filename: "a.script" } as const;
    await applyTo(files, { kind: "sieve", ...script, lastUpdate: 7, content: utf8("keep;") });
  });
  afterEach(async () => {
    await files.close();
    await mails.close();
  });

  /** A place that keeps scripts as a Cyrus up to 3.4 does, or as one since 3.6. */
  const ofForm = (place: WritablePlace, form: "files" | "mails") =>
    standIn(place, {
      holds: { ...place.holds, sieveFiles: form === "files", sieveMailboxes: form === "mails" },
      mailsScripts: form === "mails",
    });
  const heldBy = async (place: WritablePlace): Promise<Held> => ({
    ...{ place, state: granted(await place.user("fred")) },
  });

  async function mailScript(text: string, place = mails): Promise<void> {
    const bytes = utf8(text);
    const guid = Bun.SHA1.hash(text, "hex");
    const session = await place.openSession();
    const writer = session.stage({ partition: "default", guid, size: bytes.length });
    await writer.write(bytes);
    await writer.end();
    granted(await session.flush());
    const records = [record(1, { guid, size: bytes.length, flags: ["\\Flagged"] })];
    const state = stateOf("user.fred.#sieve", records, { type: "f" });
    granted(await session.apply({ kind: "mailbox", state, records: recordsOf(records) }));
    await session.close();
  }

  test("makes files of messages: names, contents, and which is active", async () => {
    await mailScript("Subject: =?UTF-8?Q?b?=\r\n\r\nstop;");
    const { a, b } = await withScriptsAlike(FRED, {
      a: await heldBy(ofForm(mails, "mails")),
      b: await heldBy(ofForm(files, "files")),
    });
    expect(a.state.sieve).toMatchObject([
      { filename: "b.script", guid: Bun.SHA1.hash("stop;", "hex"), isActive: false },
      { filename: "b.bc", isActive: true },
    ]);
    expect(granted(await a.place.sieveScript("fred", "b.script"))).toEqual(utf8("stop;"));
    expect((await a.place.sieveScript("bob", "b.script")).kind).toBe("refused");
    for (const { holds } of [a.place, b.place]) {
      expect([holds.sieveFiles, holds.sieveMailboxes]).toEqual([true, false]);
    }
    expect(b.state.sieve.map(({ filename }) => filename)).toEqual(["a.script"]);
  });

  test("sends files to who makes messages of them, where the source has nothing else", async () => {
    const both = await withScriptsAlike(FRED, {
      a: await heldBy(files),
      b: await heldBy(ofForm(mails, "mails")),
    });
    expect(both.b.place.holds.sieveFiles).toBe(true);
    expect(both.a.state.sieve).toHaveLength(1);
    expect(both.b.state.sieve).toEqual([]);
  });

  test("leaves alone what both keep, and who may have scripts that nobody sees", async () => {
    await mailScript("Subject: b\r\n\r\nstop;");
    const mailed = await heldBy(ofForm(mails, "mails"));
    const sides = { a: mailed, b: await heldBy(ofForm(files, "mails")) };
    const hidden = { ...sides.b, state: { ...sides.b.state, sieve: [] } };
    const alike = { a: mailed, b: hidden };
    expect(await withScriptsAlike(FRED, alike)).toBe(alike);
    // A bare spool of before 3.6 has no mailbox of scripts, and its files lie elsewhere.
    const place = standIn(mails, { holds: { ...mails.holds, sieveFiles: false } });
    const bare = { place, state: { ...mailed.state, mailboxes: [INBOX] } };
    const unknown = { a: bare, b: await heldBy(ofForm(files, "files")) };
    expect(await withScriptsAlike(FRED, unknown)).toBe(unknown);
  });

  test("makes files too for who has files beside the messages, which would grow old", async () => {
    await mailScript("Subject: a\r\n\r\nstop;");
    await mailScript("Subject: a\r\n\r\nkeep;", files);
    const mailed = await heldBy(ofForm(mails, "mails"));
    const sides = { a: mailed, b: await heldBy(files) };
    expect(await withScriptsAlike(FRED, sides)).toBe(sides);
    const { a, b } = await withScriptsAlike(FRED, sides, { beside: ["a"] });
    expect([a.place.holds.sieveFiles, a.place.holds.sieveMailboxes]).toEqual([true, true]);
    expect(a.state.sieve).toMatchObject([
      { filename: "a.script", guid: Bun.SHA1.hash("stop;", "hex") },
      { filename: "a.bc", isActive: true },
    ]);
    expect(b).toBe(sides.b);
  });

  test("names a message that is no script, and then nothing of the scripts is held", async () => {
    await mailScript("no header");
    const { a } = await withScriptsAlike(FRED, {
      a: await heldBy(ofForm(mails, "mails")),
      b: await heldBy(ofForm(files, "files")),
    });
    expect(a.state.flawed).toMatchObject([{ setting: "scripts", refusal: { reason: "damaged" } }]);
  });
});
