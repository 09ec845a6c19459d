/**
 * What a user has beside mailboxes, as the files that a backup has of it (backup-format.md 2): seen
 * states and subscriptions in Cyrus' own, scripts and quotas in Bobbin's.
 */
import { AppError, FormatError } from "../../core/errors.ts";
import { META_FILE } from "../../formats/backup/entry_name.ts";
import { parseSubscriptions, writeSubscriptions } from "../../formats/cyrus/sub.ts";
import {
  parseSettings,
  printSettings,
  type SettingCommand,
} from "../../formats/sync/setting_lines.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import type { FlawedSetting, Setting } from "../../model/mailbox.ts";
import { inboxOf, type Owner, ownerName } from "../../model/names.ts";
import { refused } from "../../model/outcome.ts";
import { noContents, type OwnerContents, reduceOwner } from "../../model/owner_contents.ts";
import { entriesIn, printSeenFile, seenStatesIn } from "../raw_settings.ts";

const { seen, subscriptions, sieve, quotas } = META_FILE;
export const USER_FILES = [seen, subscriptions, sieve, quotas] as const;
export type UserFile = (typeof USER_FILES)[number];

/** Gives a file by its name, undefined where there is none. */
export type GivenFile = (name: UserFile) => Uint8Array | undefined;

/** What the files of a user say, and which of them are damaged. */
export interface UserSettings {
  /** Without mailboxes. */
  readonly contents: OwnerContents;
  readonly flawed: readonly FlawedSetting[];
}

const SETTINGS: Readonly<Record<UserFile, Setting>> = {
  [seen]: "seen state",
  [subscriptions]: "subscriptions",
  [sieve]: "scripts",
  [quotas]: "quotas",
};

/** The settings in the files of `owner`. What is damaged is named, and left out. */
export function parseUserFiles(owner: Owner, file: GivenFile): UserSettings {
  const flawed: FlawedSetting[] = [];
  const commands = USER_FILES.flatMap((name) => {
    try {
      const bytes = file(name);
      return bytes === undefined ? [] : commandsIn(name, owner, bytes);
    } catch (error) {
      const isDamage = error instanceof AppError && error.code === "bad_data";
      if (!isDamage && !(error instanceof FormatError)) throw error;
      const text = `Cannot read the ${SETTINGS[name]} of ${ownerName(owner)}: ${error.message}`;
      flawed.push({ setting: SETTINGS[name], refusal: refused("damaged", text) });
      return [];
    }
  });
  return { contents: commands.reduce(reduceOwner, noContents()), flawed };
}

/** Throws FormatError. */
function commandsIn(name: UserFile, owner: Owner, bytes: Uint8Array): readonly ApplyCommand[] {
  const userid = ownerName(owner);
  switch (name) {
    case seen:
      return seenStatesIn(entriesIn(bytes)).map((one) => ({ kind: "seen", userid, seen: one }));
    case subscriptions: {
      const inbox = inboxOf(userid, { virtualDomains: true });
      const { names } = parseSubscriptions(entriesIn(bytes), { inbox });
      return names.map((one) => ({ kind: "sub", userid, name: one }));
    }
    case sieve:
    case quotas:
      return parseSettings(bytes);
  }
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
