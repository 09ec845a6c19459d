/**
 * A place whose messages all have SHA-1 GUIDs. Cyrus before 2.4 kept none, or a number of its own,
 * and replication knows messages by nothing else; so they are computed here as mailboxes are read.
 * The sum over GUIDs that nobody else has is left out.
 */
import { beginSha1 } from "../../hash/sha1.ts";
import { type Guid, isSha1 } from "../../model/guid.ts";
import type { RecordSource } from "../../model/mailbox.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailboxReading, MessageAddress, Place } from "../../places/place.ts";
import { wrapPlace } from "../../places/wrap_place.ts";

/**
 * `place` with computed GUIDs where it has none. Messages that cannot be read keep what they have.
 */
export function identified(place: Place): Place {
  /** By uniqueid and UID: what the place itself calls a message that was given a GUID here. */
  const originals = new Map<string, Guid>();
  return wrapPlace(place, (inner) => ({
    readMailbox: async (name) => {
      const reading = await inner.readMailbox(name);
      return reading.kind === "refused" ? reading : identify(reading.value, inner, originals);
    },
    message: async (address) => {
      const original = originals.get(keyOf(address));
      if (original === undefined) return inner.message(address);
      const there = { ...address, guid: original };
      const guid = await hashOf(there, inner);
      if (guid === undefined || guid === address.guid) return inner.message(there);
      const where = `message ${address.uid} of ${address.mailbox}`;
      return refused("damaged", `The SHA-1 of ${where} was ${address.guid} and is ${guid}`);
    },
  }));
}

function keyOf({ uniqueid, uid }: Pick<MessageAddress, "uniqueid" | "uid">): string {
  return `${uniqueid}\0${uid}`;
}

async function identify(
  reading: MailboxReading,
  place: Place,
  originals: Map<string, Guid>,
): Promise<Outcome<MailboxReading>> {
  const { state, records } = reading;
  const guids = new Map<number, Guid>();
  for await (const batch of records.batches()) {
    for (const record of batch) {
      if (isSha1(record.guid) || record.unlinked === true) continue;
      const { uniqueid, name: mailbox, partition } = state;
      const { uid, guid: original } = record;
      const guid = await hashOf({ mailbox, uniqueid, partition, uid, guid: original }, place);
      if (guid === undefined) continue;
      guids.set(uid, guid);
      originals.set(keyOf({ uniqueid, uid }), original);
    }
  }
  if (guids.size === 0) return ok(reading);
  return ok({ ...reading, state: { ...state, syncCrc: 0 }, records: withGuids(records, guids) });
}

async function hashOf(address: MessageAddress, place: Place): Promise<Guid | undefined> {
  const remembered = await place.contentGuid?.(address);
  if (remembered !== undefined) return remembered.kind === "ok" ? remembered.value : undefined;
  const content = await place.message(address);
  if (content.kind === "refused") return undefined; // sending it says why
  const hash = beginSha1();
  for await (const chunk of content.value.chunks()) hash.update(chunk);
  return hash.digest();
}

function withGuids(source: RecordSource, guids: ReadonlyMap<number, Guid>): RecordSource {
  return {
    batches: async function* () {
      for await (const batch of source.batches()) {
        yield batch.map((record) => ({ ...record, guid: guids.get(record.uid) ?? record.guid }));
      }
    },
  };
}
