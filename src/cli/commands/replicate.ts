/** `bobbin replicate USER… --from A --to B` brings B what A holds. Only `--two-way` writes A. */
import { before } from "../../core/before.ts";
import { AppError } from "../../core/errors.ts";
import { inboxOf, nameProblem } from "../../model/names.ts";
import { parsePlace } from "../../places/locator.ts";
import type { Place } from "../../places/place.ts";
import { chosenMailboxes } from "../../replicate/owner/chosen_place.ts";
import { asUser } from "../../replicate/owner/renamed_place.ts";
import type { ManyOptions } from "../../replicate/replicate_owners.ts";
import {
  chosenOwners,
  listOwners,
  namedUsers,
  requireSomebody,
  usersFromOption,
} from "../chosen_owners.ts";
import type { Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { mailboxFilter, ownersOfMailboxes } from "../mailbox_filter.ts";
import { ownerOfArgument, useridOfArgument } from "../mailbox_names.ts";
import {
  addPlaceOptions,
  areOneStore,
  openPlace,
  openTargetToLook,
  openWritablePlace,
  optionsOfSide,
  type PlaceOptions,
  requireUpdatable,
} from "../open_place.ts";
import { byteRateOption, collect, countOption, percentOption, secondsOption } from "../options.ts";
import { beside, type Run, runAll } from "./replicate_run.ts";

export const registerReplicate: Register = (program, handle) => {
  const command = program
    .command("replicate")
    .summary("copy users from one place to another")
    .description(
      "Copies users from place A to place B: mailboxes, messages, flags and settings. Then it " +
        "compares what B has with what A has. A is only read, except with --two-way. What only B " +
        "has stays there, is listed, and makes the exit code 1.\n\n" +
        "With --mirror, what only B has is deleted. But there is a brake: if the user, or more " +
        "than 20% of the user's messages or mailboxes at B, would be deleted, Bobbin stops for " +
        "this user, and the exit code is 77. This is so in a dry run too. What A knows as " +
        "deleted is not counted.\n\n" +
        "With --two-way, both places are made the same by the rules of Cyrus, and each decision " +
        "is printed. A message is deleted only if one side has a record of its deletion. The " +
        "brake counts all that would be deleted, on each side.",
    )
    .argument("[user...]", "the users to copy")
    .requiredOption("--from <place>", "place A: where the mail is")
    .requiredOption("--to <place>", "place B: where to copy it")
    .option("--all", "all users and shared mailboxes of A")
    .option(
      "--mailbox <mailbox>",
      "only this mailbox of A; * stands for anything, % for a part; repeat it for more",
      collect,
    )
    .option("--allow-empty", "with --all: A may be empty")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .option("-n, --dry-run", "print the plan and write nothing")
    .option("--check", "like --dry-run, but exit code 1 if there is something to do")
    .option("--mirror", "make B equal to A: delete at B what A does not have")
    .option("--two-way", "make both places equal: write to A too")
    .option("--as <newuser>", "copy one USER to another name, which nobody at B has")
    .option("--salvage", "copy what is undamaged of a damaged mailbox, and name what is left out")
    .option("--into-existing", "with --as: add the mail to a NEWUSER that B has")
    .option(
      "--allow-delete <percent>",
      "how much of a user may be deleted (20); only 100 allows a whole user",
      percentOption,
    )
    .option("--rate <size>", "bytes of messages in a second, like 100MB/s", byteRateOption)
    .option("--timeout <seconds>", "give up a user after this time", secondsOption)
    .option("--jobs <n>", "users at a time (2)", countOption);
  addPlaceOptions(usersFromOption(command), ["from", "to"]).action(handle(runReplicate));
};

interface ReplicateFlags extends PlaceOptions {
  readonly fromPasswordFile?: string;
  readonly toPasswordFile?: string;
  readonly from: string;
  readonly to: string;
  readonly all?: boolean;
  readonly mailbox?: readonly string[];
  readonly shared?: boolean;
  readonly dryRun?: boolean;
  readonly check?: boolean;
  readonly mirror?: boolean;
  readonly twoWay?: boolean;
  readonly as?: string;
  readonly intoExisting?: boolean;
  readonly salvage?: boolean;
  readonly allowDelete?: number;
  readonly rate?: number;
  readonly timeout?: number;
  readonly jobs?: number;
}

const ALLOW_DELETE_PERCENT = 20;
const JOBS = 2;

const runReplicate: Handler<"replicate"> = async (args, options, given) => {
  const flags = options as unknown as ReplicateFlags; // as commander was told above
  const env = beside(flags, given);
  const users = await namedUsers((args[0] ?? []) as readonly string[], options);
  const { mailbox = [] } = flags;
  const isNamed = users.length > 0 || (mailbox.length > 0 && flags.all !== true);
  if (isNamed === (flags.all === true)) {
    throw new AppError("usage", "Cannot tell whom to replicate: name users, or say --all");
  }
  if (flags.as !== undefined && (users.length !== 1 || flags.shared === true)) {
    throw new AppError("usage", "--as wants exactly one USER");
  }
  if (flags.as !== undefined) requireUserName(flags.as);
  if (flags.intoExisting === true && flags.as === undefined) {
    throw new AppError("usage", "--into-existing goes with --as NEWUSER");
  }
  if (mailbox.length > 0 && parsePlace(flags.to).kind === "backup") {
    throw new AppError("usage", "--mailbox goes with no backup: a run of one has all of a user");
  }
  if (flags.twoWay === true) requireTwoWay(flags);
  if (flags.salvage === true && modeOf(flags) !== "merge") {
    throw new AppError("usage", "--salvage only adds to B: leave out --mirror and --two-way");
  }
  const isDry = flags.dryRun === true || flags.check === true;
  const a = optionsOfSide(flags, flags.fromPasswordFile);
  const b = optionsOfSide(flags, flags.toPasswordFile);
  const isOneStore = !isDry && areOneStore(flags.from, flags.to);
  const inTime = openingTime(flags);
  const writable =
    isOneStore || (flags.twoWay === true && !isDry)
      ? await inTime(flags.from, openWritablePlace(flags.from, env, a), close)
      : undefined;
  const written = flags.twoWay === true ? writable : undefined;
  const opened = writable ?? (await inTime(flags.from, openPlace(flags.from, env, a), close));
  const owners = users.map((user) => ownerOfArgument(user, options));
  const filter = mailboxFilter({ mailbox, owners });
  const chosen = filter === undefined ? opened : chosenMailboxes(opened, filter.wants);
  const source = renamedSource(chosen, users, flags);
  try {
    if (flags.all === true && flags.allowEmpty !== true) {
      await inTime(flags.from, requireSomebody(source));
    }
    const target = isDry
      ? undefined
      : await inTime(flags.to, openWritablePlace(flags.to, env, { ...b, source }), close);
    const reading = target ?? (await inTime(flags.to, openTargetToLook(flags.to, env, b), close));
    try {
      const named = flags.as === undefined ? users : [flags.as];
      const listed =
        isNamed && users.length === 0
          ? { owners: ownersOfMailboxes(mailbox, env), broken: undefined }
          : await inTime(
              flags.from,
              listOwners(
                chosenOwners({ users: named, shared: flags.shared === true }, [source, reading]),
              ),
            );
      const result = await runAll(listed, {
        ...{ source, reading, written, target, env },
        ...{ isAll: flags.all === true, isCheck: flags.check === true },
        takesTheRest: flags.salvage === true,
        options: optionsOf(flags),
      });
      // Where the only user has none of them, that has been told.
      if (result.exit !== EXIT.notFound) filter?.refuseUnmatched([flags.from]);
      return result;
    } finally {
      await reading.close();
    }
  } finally {
    await source.close();
  }
};

type InTime = <Value>(
  place: string,
  work: Promise<Value>,
  late?: (value: Value) => void,
) => Promise<Value>;

/** Waits for what opens and lists the places as long as `--timeout` allows, all together. */
function openingTime({ timeout }: ReplicateFlags): InTime {
  const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout * 1000);
  return (place, work, late) =>
    before(work, signal, late).catch((error: unknown) => {
      if (signal?.aborted !== true || error !== signal.reason) throw error;
      throw new AppError("busy", `Cannot open ${place}: the time is up`, {
        hint: "Is the server slow, or is it another one? --timeout gives it more time",
      });
    });
}

/** Closes a place that nobody has used. */
function close(place: Place): void {
  place.close().catch(() => undefined);
}

function optionsOf(flags: ReplicateFlags): Run["options"] {
  const { as, intoExisting, mailbox, allowDelete, jobs, rate, timeout } = flags;
  return {
    mode: modeOf(flags),
    mustBeCopy: as !== undefined && intoExisting !== true,
    isPart: mailbox !== undefined,
    allowDelete: allowDelete ?? ALLOW_DELETE_PERCENT,
    jobs: jobs ?? JOBS,
    bytesPerSecond: rate,
    timeoutMs: timeout === undefined ? undefined : timeout * 1000,
  };
}

/** Refuses what `--two-way`, which writes both sides, cannot be combined with. */
function requireTwoWay({ from, to, mirror, as, mailbox }: ReplicateFlags): void {
  if (mailbox !== undefined) {
    throw new AppError("usage", "--mailbox goes one way only: leave out --two-way");
  }
  if (mirror === true) {
    throw new AppError(
      "usage",
      "--two-way keeps what only B has and --mirror deletes it: choose one",
    );
  }
  if (as !== undefined) {
    throw new AppError("usage", "--as brings a user under another name, and --two-way nobody back");
  }
  for (const place of [from, to]) requireUpdatable(place);
}

/** Refuses a name that no user can have, before settings or a dump are written under it. */
function requireUserName(as: string): void {
  const problem = nameProblem(inboxOf(useridOfArgument(as), { virtualDomains: false }));
  if (problem === undefined) return;
  throw new AppError("usage", `Cannot use --as ${as}: ${problem}`);
}

function renamedSource(
  place: Place,
  [user = ""]: readonly string[],
  { as }: ReplicateFlags,
): Place {
  if (as === undefined || as === user) return place;
  return asUser(place, { from: useridOfArgument(user), to: useridOfArgument(as) });
}

function modeOf({ mirror, twoWay }: ReplicateFlags): ManyOptions["mode"] {
  if (twoWay === true) return "twoWay";
  return mirror === true ? "mirror" : "merge";
}
