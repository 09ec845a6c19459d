/** Some mail of every kind, for the reading half of the conformance suite. */
import { utf8 } from "../../src/core/bytes.ts";
import { recordsOf } from "../../src/model/mailbox.ts";
import type { Owner } from "../../src/model/names.ts";
import type { WritablePlace } from "../../src/places/place.ts";
import { granted } from "../support/places.ts";
import { guidOf, message, record, stateOf } from "../support/store_fixture.ts";

export const EXAMPLE_OWNERS: readonly Owner[] = [
  { kind: "user", userid: "fred" },
  { kind: "shared", toplevel: "lists" },
];

const [INBOX, SUB, LIST] = ["user.fred", "user.fred.Sub", "lists.dev"];

/** Fills a place that is empty with the mail of `EXAMPLE_OWNERS`. */
export async function putExampleMail(place: WritablePlace): Promise<void> {
  const session = await place.openSession();
  const put = async (name: string, uids: readonly number[], isDeleted = false): Promise<void> => {
    const note = { entry: "/comment", userid: "", modseq: 2n, value: utf8("of a message") };
    const records = uids.map((uid) =>
      record(uid, uid === 1 ? { flags: ["\\Seen", "work"], annotations: [note] } : {}),
    );
    if (isDeleted) records.push(record(50, { expunged: true }));
    for (const uid of isDeleted ? [...uids, 50] : uids) {
      const bytes = message(uid);
      const writer = session.stage({
        partition: "default",
        guid: guidOf(bytes),
        size: bytes.length,
        mailbox: name,
      });
      await writer.write(bytes);
      await writer.end();
    }
    granted(await session.flush());
    const annotations = [{ entry: "/comment", userid: "", modseq: 3n, value: utf8("of a box") }];
    const state = stateOf(name, records, { annotations, quotaroot: INBOX });
    granted(await session.apply({ kind: "mailbox", state, records: recordsOf(records) }));
  };
  await put(INBOX, [1, 2, 7], true);
  await put(SUB, [3]);
  await put(LIST, [4, 5]);
  const seen = { uniqueid: "another", lastRead: 5, lastUid: 6, lastChange: 7, seenUids: "1:6" };
  const script = { filename: "a.script", lastUpdate: 99, content: utf8("keep;\n") };
  const userid = "fred";
  const quota = { root: INBOX, limits: { STORAGE: 1000, MESSAGE: 5 }, modseq: 4n };
  granted(await session.apply({ kind: "sub", userid, name: SUB }));
  granted(await session.apply({ kind: "seen", userid, seen }));
  granted(await session.apply({ kind: "quota", quota }));
  granted(await session.apply({ kind: "sieve", userid, ...script }));
  granted(await session.apply({ kind: "activateSieve", userid, filename: "a.bc" }));
  await session.close();
  for (const owner of EXAMPLE_OWNERS) await place.finished?.(owner, []);
}
