/** What a user has beside mailboxes, from the bytes of Cyrus' own files of a user. */
import { FormatError } from "../core/errors.ts";
import { readDatabase } from "../formats/cyrus/databases/database.ts";
import type { DatabaseEntry } from "../formats/cyrus/databases/database_contents.ts";
import { writeTwoskip } from "../formats/cyrus/databases/twoskip_writer.ts";
import { parseSeen, seenEntry } from "../formats/cyrus/seen.ts";
import { parseSubscriptions } from "../formats/cyrus/sub.ts";
import type { FlawedSetting, SeenState, Setting, UserMeta } from "../model/mailbox.ts";
import { refused } from "../model/outcome.ts";

/** Undefined for a file that is not there. */
export interface RawSettings {
  readonly seen: Uint8Array | undefined;
  readonly sub: Uint8Array | undefined;
}

/** `inbox` is the internal name of the user's INBOX. What is damaged is named, and left out. */
export function settingsOfRaw(
  { seen, sub }: RawSettings,
  inbox: string,
): UserMeta & { readonly flawed?: readonly FlawedSetting[] } {
  const flawed: FlawedSetting[] = [];
  const read = <T>(
    setting: Setting,
    bytes: Uint8Array | undefined,
    parse: (entries: readonly DatabaseEntry[]) => readonly T[],
  ): readonly T[] => {
    try {
      return bytes === undefined ? [] : parse(entriesIn(bytes));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const text = `Cannot read the ${setting} of ${inbox}: ${error.message}`;
      flawed.push({ setting, refusal: refused("damaged", text) });
      return [];
    }
  };
  const settings = {
    seen: read("seen state", seen, seenStatesIn),
    subscriptions: read("subscriptions", sub, (entries) => [
      ...new Set(parseSubscriptions(entries, { inbox }).names),
    ]),
    sieve: [],
  };
  return flawed.length === 0 ? settings : { ...settings, flawed };
}

/** Seen states in the order of a seen file; of a mailbox that is there twice the last counts. */
export function seenStatesIn(entries: readonly DatabaseEntry[]): readonly SeenState[] {
  const byMailbox = new Map<string, SeenState>();
  for (const entry of entries) {
    const { uniqueid, lastread, lastuid, lastchange, seenuids } = parseSeen(entry);
    const times = { lastRead: lastread, lastChange: lastchange };
    byMailbox.set(uniqueid, { uniqueid, lastUid: lastuid, ...times, seenUids: seenuids });
  }
  return [...byMailbox.values()];
}

/** The seen file of a user: the inverse of `seenStatesIn`. */
export function printSeenFile(states: readonly SeenState[]): Uint8Array {
  return writeTwoskip(
    states.map(({ uniqueid, lastRead, lastUid, lastChange, seenUids }) =>
      seenEntry({
        ...{ uniqueid, lastread: lastRead, lastuid: lastUid },
        ...{ lastchange: lastChange, seenuids: seenUids },
      }),
    ),
  );
}

/** The entries of a database that must be sound. Throws FormatError. */
export function entriesIn(bytes: Uint8Array): readonly DatabaseEntry[] {
  const database = readDatabase(bytes);
  if (database.kind === "unsupported")
    throw new FormatError(0, `a database that Bobbin reads, not ${database.format}`);
  const [problem] = database.problems;
  if (problem === undefined) return database.entries;
  throw new FormatError(problem.offset, `a sound database: ${problem.what}`);
}
