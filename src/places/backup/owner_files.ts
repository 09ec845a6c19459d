/**
 * What a user has beside mailboxes, as the files that a backup has of it (backup-format.md 2): seen
 * states and subscriptions in Cyrus' own, scripts and quotas in Bobbin's.
 */
import { META_FILE } from "../../formats/backup/entry_name.ts";
import type { DatabaseEntry } from "../../formats/cyrus/databases/database_contents.ts";
import { parseSubscriptions, writeSubscriptions } from "../../formats/cyrus/sub.ts";
import {
  parseSettings,
  printSettings,
  type SettingCommand,
} from "../../formats/sync/setting_lines.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { inboxOf, type Owner, ownerName } from "../../model/names.ts";
import { noContents, type OwnerContents, reduceOwner } from "../../model/owner_contents.ts";
import { entriesIn, printSeenFile, seenStatesIn } from "../raw_settings.ts";

const { seen, subscriptions, sieve, quotas } = META_FILE;
export const USER_FILES = [seen, subscriptions, sieve, quotas] as const;
export type UserFile = (typeof USER_FILES)[number];

/** Gives a file by its name, undefined where there is none. */
export type GivenFile = (name: UserFile) => Uint8Array | undefined;

/** The settings in the files of `owner`, without mailboxes. Throws FormatError for damage. */
export function parseUserFiles(owner: Owner, file: GivenFile): OwnerContents {
  return commandsIn(owner, file).reduce(reduceOwner, noContents());
}

function commandsIn(owner: Owner, file: GivenFile): ApplyCommand[] {
  const userid = ownerName(owner);
  const entriesOf = (name: UserFile): readonly DatabaseEntry[] => {
    const bytes = file(name);
    return bytes === undefined ? [] : entriesIn(bytes);
  };
  const inbox = inboxOf(userid, { virtualDomains: true });
  return [
    ...seenStatesIn(entriesOf(seen)).map((one): ApplyCommand => {
      return { kind: "seen", userid, seen: one };
    }),
    ...parseSubscriptions(entriesOf(subscriptions), { inbox }).names.map(
      (name): ApplyCommand => ({ kind: "sub", userid, name }),
    ),
    ...[sieve, quotas].flatMap((name) => parseSettings(file(name) ?? new Uint8Array())),
  ];
}

/** The inverse of `parseUserFiles`, for one file; undefined where it would say nothing. */
export function printUserFile(
  name: UserFile,
  owner: Owner,
  contents: OwnerContents,
): Uint8Array | undefined {
  const userid = ownerName(owner);
  switch (name) {
    case seen:
      return orNone(contents.seen.values(), printSeenFile);
    case subscriptions:
      return orNone(contents.subscriptions.keys(), (names) =>
        writeSubscriptions(names, { inbox: inboxOf(userid, { virtualDomains: true }) }),
      );
    case sieve: {
      const { scripts, active } = contents;
      const commands = scripts.entries().map(([filename, script]): SettingCommand => {
        return { kind: "sieve", userid, filename, ...script };
      });
      const mark: SettingCommand[] =
        active === undefined ? [] : [{ kind: "activateSieve", userid, filename: active }];
      return orNone([...commands, ...mark], printSettings);
    }
    case quotas:
      return orNone(
        contents.quotas.values().map((quota): SettingCommand => ({ kind: "quota", quota })),
        printSettings,
      );
  }
}

function orNone<Item>(
  items: readonly Item[],
  print: (items: readonly Item[]) => Uint8Array,
): Uint8Array | undefined {
  return items.length === 0 ? undefined : print(items);
}
