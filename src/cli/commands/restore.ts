/** `bobbin backup restore ARCHIVE` brings back what was lost: a message, a folder, a user. */
import type { Command } from "commander";
import { plural } from "../../core/counts.ts";
import { AppError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { isGuid } from "../../model/guid.ts";
import { inboxOf, nameProblem, type Owner, ownerName, parseName } from "../../model/names.ts";
import { parsePlace } from "../../places/locator.ts";
import type { Place } from "../../places/place.ts";
import { asUser, type UserRename } from "../../replicate/owner/renamed_place.ts";
import type { ReplicateEvents } from "../../replicate/owner/tally.ts";
import type { MessageChoice, RestoredMessage } from "../../replicate/restore/plan_restore.ts";
import {
  type RestoreChoice,
  type Restoring,
  restoring,
} from "../../replicate/restore/restored_place.ts";
import { chosenOwners, listOwners } from "../chosen_owners.ts";
import type { CommandEnv, Handle, Handler } from "../command.ts";
import { EXIT } from "../exit.ts";
import {
  internalOfArgument,
  type MailboxFilter,
  mailboxFilter,
  ownersOfMailboxes,
} from "../mailbox_filter.ts";
import {
  displayName,
  nameFacts,
  ownerFacts,
  ownerOfArgument,
  textOfName,
  useridOfArgument,
} from "../mailbox_names.ts";
import {
  addPlaceOptions,
  areOneStore,
  openPlace,
  openTargetToLook,
  openWritablePlace,
  optionsOfSide,
  type PlaceOptions,
} from "../open_place.ts";
import { byteRateOption, collect, countOption, secondsOption } from "../options.ts";
import { beside, runAll } from "./replicate_run.ts";

/** Adds `restore` to the commands of `backup`. */
export function registerRestore(backup: Command, handle: Handle): void {
  const command = backup
    .command("restore")
    .summary("bring back a message, a folder or a user")
    .description(
      "Brings back what a backup has, or any other place. A mailbox that is gone comes back as " +
        "it was, with its UIDs. One that was deleted and is still kept below DELETED gets its " +
        "name again. A mailbox that is there keeps all that it has, and gets the messages that " +
        "it lacks: they get new UIDs, and keep flags, keywords, annotations and dates. A message " +
        "that is there already does not come twice. Nothing is ever deleted or changed.",
    )
    .argument("<archive>", "the place to restore from")
    .argument("[user...]", "whom to restore; not needed where the archive is of one user")
    .requiredOption("--to <place>", "where to")
    .option("--all", "all users and shared mailboxes of the archive")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .option(
      "--mailbox <mailbox>",
      "only this mailbox; * stands for anything, % for a part; repeat it for more",
      collect,
    )
    .option(
      "--message <message>",
      "only this message, by GUID or, with one --mailbox, by UID; also an expunged one; " +
        "repeat it for more",
      collect,
    )
    .option("--as <name>", "another name for the only --mailbox, or without it for the only USER")
    .option("-n, --dry-run", "say what would come back and write nothing")
    .option("--rate <size>", "bytes of messages in a second, like 100MB/s", byteRateOption)
    .option("--timeout <seconds>", "give up a user after this time", secondsOption)
    .option("--jobs <n>", "users at a time (2)", countOption);
  addPlaceOptions(command, ["to"]).action(handle(runRestore));
}

interface RestoreFlags extends PlaceOptions {
  readonly toPasswordFile?: string;
  readonly to: string;
  readonly all?: boolean;
  readonly shared?: boolean;
  readonly mailbox?: readonly string[];
  readonly message?: readonly string[];
  readonly as?: string;
  readonly dryRun?: boolean;
  readonly rate?: number;
  readonly timeout?: number;
  readonly jobs?: number;
}

const JOBS = 2;

const runRestore: Handler<"replicate"> = async (args, options, given) => {
  const [from = "", users = []] = args as readonly [string, readonly string[]];
  const flags = options as unknown as RestoreFlags; // as commander was told above
  const env = beside(flags, given);
  const request = requestOf(users, flags, env);
  refuseBackup(flags.to);
  const isDry = flags.dryRun === true;
  const isOneStore = !isDry && areOneStore(from, flags.to);
  const opened = await (isOneStore ? openWritablePlace : openPlace)(from, env, flags);
  try {
    const b = optionsOfSide(flags, flags.toPasswordFile);
    const target = isDry ? undefined : await openWritablePlace(flags.to, env, b);
    const reading = target ?? (await openTargetToLook(flags.to, env, b));
    try {
      const { archive, owners } = await ownersIn(opened, request);
      const { choice, filter } = request;
      const back = restoring(archive, reading, choice);
      const listed = { owners, broken: undefined };
      const result = await runAll(listed, {
        ...{ source: back.place, reading, target, env },
        ...{ isAll: flags.all === true, isCheck: false, takesTheRest: true },
        options: {
          ...{ mode: "merge", isPart: true, mustBeCopy: choice.onlyCopies, allowDelete: 0 },
          ...{ jobs: flags.jobs ?? JOBS, bytesPerSecond: flags.rate },
          timeoutMs: flags.timeout === undefined ? undefined : flags.timeout * 1000,
        },
        events: (owner) => reportRestored(owner, back, env),
      });
      if (choice.messages !== undefined) tellPresent(back, env);
      // Where nobody has any of them, that has been told.
      if (result.exit !== EXIT.notFound) filter?.refuseUnmatched([from]);
      return result;
    } finally {
      await reading.close();
    }
  } finally {
    await opened.close();
  }
};

/** What is restored is appended, and a backup holds what is or was there. */
function refuseBackup(to: string): void {
  if (parsePlace(to).kind !== "backup") return;
  throw new AppError("usage", `Cannot restore to ${to}: nothing is appended to a backup`, {
    hint: "`bobbin backup run`, or replicate, brings users to a backup",
  });
}

interface Request {
  readonly choice: RestoreChoice;
  readonly filter: MailboxFilter | undefined;
  /** Whom to restore; undefined: all, or the only one that the archive has. */
  readonly owners: readonly Owner[] | undefined;
  /** A user who comes back under another name. */
  readonly asUser: UserRename | undefined;
  readonly isAll: boolean;
}

/** What the command line asks for. Throws AppError (usage) where that is no one thing. */
function requestOf(users: readonly string[], flags: RestoreFlags, env: CommandEnv): Request {
  const { mailbox = [], as, shared = false, all: isAll = false } = flags;
  if (isAll && users.length > 0) throw new AppError("usage", "--all goes without a USER");
  const named = users.map((user) => ownerOfArgument(user, { shared }));
  const filter = mailboxFilter({ mailbox, owners: named });
  const isOne = mailbox.length === 1 && !/[*%]/.test(mailbox[0] ?? "");
  const [from = "", to = ""] = [isOne ? mailbox[0] : users[0], as];
  const names = [from, to].map((text) => internalOfArgument(text, env));
  const [archived = "", renamed = ""] = names;
  if (as !== undefined && !isOne && (users.length !== 1 || shared || mailbox.length > 0)) {
    throw new AppError("usage", "--as wants exactly one --mailbox, or one USER and no --mailbox");
  }
  const internal = isOne ? renamed : inboxOf(useridOfArgument(to), { virtualDomains: false });
  const problem = as === undefined ? undefined : nameProblem(internal);
  if (problem !== undefined) throw new AppError("usage", `Cannot use --as ${as}: ${problem}`);
  const isMailbox = as !== undefined && isOne;
  const meant = named.length === 0 && mailbox.length > 0 && !isAll;
  const userRename =
    as === undefined || isOne
      ? undefined
      : { from: useridOfArgument(from), to: useridOfArgument(to) };
  return {
    choice: {
      isWanted: filter?.wants,
      messages: messagesOf(flags.message, { isOne }),
      as: isMailbox ? { owner: named[0] ?? parseName(archived).owner, name: renamed } : undefined,
      onlyCopies: userRename !== undefined,
      now: () => Math.floor(Date.now() / 1000),
    },
    ...{ filter, asUser: userRename, isAll },
    owners: isMailbox
      ? [parseName(renamed).owner]
      : meant
        ? ownersOfMailboxes(mailbox, env)
        : named.length > 0
          ? named
          : undefined,
  };
}

function messagesOf(
  texts: readonly string[] | undefined,
  { isOne }: { readonly isOne: boolean },
): MessageChoice | undefined {
  if (texts === undefined) return undefined;
  const guids = new Set<string>();
  const uids = new Set<number>();
  for (const text of texts) {
    const guid = text.toLowerCase();
    if (isGuid(guid)) guids.add(guid);
    else if (/^[1-9]\d{0,9}$/.test(text) && Number(text) <= 0xffff_ffff) uids.add(Number(text));
    else {
      throw new AppError("usage", `Cannot read --message ${text}: neither a GUID nor a UID`, {
        hint: "A GUID has 40 hex digits; `bobbin ls --full ARCHIVE USER MAILBOX` lists both",
      });
    }
  }
  if (uids.size > 0 && !isOne) {
    throw new AppError("usage", "A UID says nothing without its mailbox: name one --mailbox");
  }
  return { guids, uids };
}

async function ownersIn(
  place: Place,
  { owners, asUser: rename, isAll }: Request,
): Promise<{ readonly archive: Place; readonly owners: readonly Owner[] }> {
  if (rename !== undefined) {
    return { archive: asUser(place, rename), owners: [{ kind: "user", userid: rename.to }] };
  }
  if (owners !== undefined) return { archive: place, owners };
  const listed = await listOwners(chosenOwners({ users: [], shared: false }, [place]));
  if (listed.broken !== undefined) throw listed.broken;
  if (isAll || listed.owners.length === 1) return { archive: place, owners: listed.owners };
  const count = plural(listed.owners.length, "user");
  throw new AppError("usage", `Cannot tell whom to restore: ${place.locator} has ${count}`, {
    hint: "Name users or a --mailbox, or say --all",
  });
}

/** Tells under which UIDs messages come back. */
function reportRestored(
  owner: Owner,
  { planned }: Restoring,
  { output, internalNames: internal }: CommandEnv,
): Partial<ReplicateEvents> {
  return {
    done: ({ step }) => {
      const mailbox = step.kind === "mailbox" ? planned(step.name) : undefined;
      if (mailbox === undefined || mailbox.restored.length === 0) return;
      const { name } = mailbox.state;
      for (const { uid, newUid, guid } of mailbox.restored) {
        const facts = { ...ownerFacts(owner), ...nameFacts(name), uid, newUid, guid };
        output.object({ type: "step", step: "restore", ...facts });
      }
      const shown = escapeText(displayName(name, { internal }));
      const user = escapeText(textOfName(ownerName(owner)));
      output.step(`${user}: restore to ${shown}: ${rangesText(mailbox.restored)}`);
    },
  };
}

/** As `uid 4-90 as 1201-1287, 95 as 1288`. */
function rangesText(messages: readonly RestoredMessage[]): string {
  const ranges: { first: RestoredMessage; last: RestoredMessage }[] = [];
  for (const message of messages) {
    const range = ranges.at(-1);
    const isNext = range?.last.uid === message.uid - 1 && range.last.newUid === message.newUid - 1;
    if (isNext) range.last = message;
    else ranges.push({ first: message, last: message });
  }
  const span = (from: number, to: number) => (from === to ? `${from}` : `${from}-${to}`);
  const texts = ranges.map(
    ({ first, last }) => `${span(first.uid, last.uid)} as ${span(first.newUid, last.newUid)}`,
  );
  return `uid ${texts.join(", ")}`;
}

/** Tells of messages that were named and are there already. */
function tellPresent({ all }: Restoring, { output, internalNames: internal }: CommandEnv): void {
  for (const { state, present } of all()) {
    for (const { uid, newUid, guid } of present) {
      const { name } = state;
      const { owner } = parseName(name);
      const facts = { ...ownerFacts(owner), ...nameFacts(name), uid, newUid, guid };
      output.object({ type: "step", step: "skip", ...facts });
      const shown = escapeText(displayName(name, { internal }));
      output.step(`${shown}: message ${guid} is there already, as uid ${newUid}`);
    }
  }
}
