/** Asking a place in tests. */
import type { MailboxState, RecordSource } from "../../src/model/mailbox.ts";
import type { Owner } from "../../src/model/names.ts";
import type { Outcome } from "../../src/model/outcome.ts";
import type { MailRecord } from "../../src/model/record.ts";
import type { Place, PlaceSession, WritablePlace } from "../../src/places/place.ts";

/** The value of an outcome that must be one. */
export function granted<Value>(outcome: Outcome<Value>): Value {
  if (outcome.kind === "refused") throw new Error(`refused as ${outcome.reason}: ${outcome.text}`);
  return outcome.value;
}

/** All records of a source. */
export async function recordsIn(source: RecordSource): Promise<MailRecord[]> {
  const records: MailRecord[] = [];
  for await (const batch of source.batches()) records.push(...batch);
  return records;
}

/** Every owner that a place lists. */
export async function ownersIn(place: Place): Promise<Owner[]> {
  const owners: Owner[] = [];
  for await (const owner of granted(await place.owners())) owners.push(owner);
  return owners;
}

/** The mailboxes of every owner. */
export async function allMailboxes(place: Place): Promise<MailboxState[]> {
  const states: MailboxState[] = [];
  for (const owner of await ownersIn(place)) {
    if (owner.kind === "user") states.push(...granted(await place.user(owner.userid)).mailboxes);
    else states.push(...granted(await place.sharedMailboxes(owner.toplevel)).mailboxes);
  }
  return states;
}

/** The bytes of a message. */
export async function bytesOf(place: Place, address: Parameters<Place["message"]>[0]) {
  const parts: Uint8Array[] = [];
  for await (const part of granted(await place.message(address)).chunks()) {
    parts.push(part.slice());
  }
  return Buffer.concat(parts);
}

/**
 * `place` with its sessions changed: what `change` gives of a session takes the place of the
 * session's own.
 */
export function withSessions(
  place: WritablePlace,
  change: (session: PlaceSession) => Partial<PlaceSession>,
): WritablePlace {
  const openSession = async (): Promise<PlaceSession> => {
    const session = await place.openSession();
    return {
      reserve: (request) => session.reserve(request),
      stage: (message) => session.stage(message),
      flush: () => session.flush(),
      apply: (command, options) => session.apply(command, options),
      restart: () => session.restart(),
      close: () => session.close(),
      ...change(session),
    };
  };
  return new Proxy(place, {
    get: (target, key) => {
      if (key === "openSession") return openSession;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
