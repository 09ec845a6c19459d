/**
 * Copies a user from place to place in the plainest way: everything, in name order, nothing
 * compared.
 */
import type { ApplyCommand } from "../../src/model/apply.ts";
import { isIntermediate } from "../../src/model/mailbox.ts";
import type { Place, PlaceSession } from "../../src/places/place.ts";
import { granted, recordsIn } from "./places.ts";

/** Copies mailboxes with their messages, then quotas, subscriptions, seen state and scripts. */
export async function copyUser(userid: string, from: Place, session: PlaceSession): Promise<void> {
  const user = granted(await from.user(userid));
  const apply = async (command: ApplyCommand) => granted(await session.apply(command));
  for (const { name } of user.mailboxes.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    await copyMailbox(name, from, session);
  }
  for (const quota of user.quotas) await apply({ kind: "quota", quota });
  for (const name of user.subscriptions) await apply({ kind: "sub", userid, name });
  for (const seen of user.seen) await apply({ kind: "seen", userid, seen });
  for (const { filename, lastUpdate } of user.sieve) {
    if (!filename.endsWith(".script")) continue;
    const content = granted(await from.sieveScript(userid, filename));
    await apply({ kind: "sieve", userid, filename, lastUpdate, content });
  }
}

async function copyMailbox(name: string, from: Place, session: PlaceSession): Promise<void> {
  const { state, records } = granted(await from.readMailbox(name));
  const { uniqueid, partition } = state;
  if (!isIntermediate(state)) {
    for (const { uid, guid, expunged } of await recordsIn(records)) {
      const content = await from.message({ mailbox: name, uniqueid, partition, uid, guid });
      if (content.kind === "refused" && expunged) continue;
      const { size, chunks } = granted(content);
      const writer = session.stage({ partition: partition ?? "default", guid, size });
      for await (const chunk of chunks()) await writer.write(chunk);
      await writer.end();
    }
  }
  granted(await session.flush());
  granted(await session.apply({ kind: "mailbox", state, records }));
}
