/** `bobbin ls PLACE [USER [MAILBOX]]` lists users, their mailboxes, or messages. */
import { formatCount } from "../../core/counts.ts";
import { AppError, systemError } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import { pushAll } from "../../core/lists.ts";
import type { MailboxState } from "../../model/mailbox.ts";
import { type Owner, parseName } from "../../model/names.ts";
import { type Outcome, ok, type Refusal } from "../../model/outcome.ts";
import type { MailRecord } from "../../model/record.ts";
import type { Place } from "../../places/place.ts";
import {
  chosenOwners,
  namedUsers,
  type OwnerChoice,
  requireSomebody,
  usersFromOption,
} from "../chosen_owners.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT, type ExitCode, worstExit } from "../exit.ts";
import { errorFacts } from "../hints.ts";
import {
  chooseMailbox,
  displayName,
  nameFacts,
  nobody,
  ownerFacts,
  ownerLabel,
  ownerOfArgument,
} from "../mailbox_names.ts";
import { addPlaceOptions, openPlace } from "../open_place.ts";
import { granted, refusalError, refusalFacts } from "../refusal_error.ts";
import { mailboxHint, ownerHint } from "../similar_names.ts";
import { printTable, widthOf } from "../table.ts";
import { formatBytes, formatTime } from "../text.ts";
import { type MessageHeader, readMessageHeader } from "./message_header.ts";
import { type Counts, countMailbox, readOwner, recordsIn, sumOf } from "./place_contents.ts";

export const registerLs: Register = (program, handle) => {
  usersFromOption(addPlaceOptions(program.command("ls")))
    .summary("list users, mailboxes and messages")
    .description(
      "Lists the users with their counts; with USER, the mailboxes of this user; with MAILBOX " +
        "too, each message with UID, flags, date, size, GUID, From and Subject. Nothing is " +
        "locked and nothing is written.",
    )
    .argument("<place>", "what to list")
    .argument("[user]", "only this user's mailboxes")
    .argument("[mailbox]", "the messages of this mailbox: user/fred/Sub, or Sub")
    .option("--shared", "USER is no user but the first part of the names of shared mailboxes")
    .option("--no-headers", "open no message, and so show no From and no Subject")
    .option("--full", "shorten nothing on a terminal: whole GUIDs, names, dates and subjects")
    .action(handle(runLs));
};

const runLs: Handler<"ls"> = async (args, options, env) => {
  const [text = "", user, mailbox] = args as readonly [string, string?, string?];
  const place = await openPlace(text, env, options);
  try {
    const width = options["full"] === true ? undefined : env.output.width;
    const listing: Listing = {
      place,
      env,
      table: { line: env.output.line, width },
      told: new Set(),
    };
    const users = await namedUsers([], options);
    if (users.length > 0 && user !== undefined) {
      throw new AppError("usage", "Cannot list both USER and --users-from: leave one out");
    }
    const shared = options["shared"] === true && users.length > 0;
    if (user === undefined) return await listOwners({ users, shared }, listing);
    const owner = ownerOfArgument(user, options);
    if (mailbox === undefined) return await listMailboxes(owner, listing);
    const withHeaders = options["headers"] !== false;
    return await listMessages(owner, mailbox, { ...listing, withHeaders });
  } finally {
    await place.close();
  }
};

interface Listing {
  readonly place: Place;
  readonly env: CommandEnv<"ls">;
  /** Where tables go. */
  readonly table: Parameters<typeof printTable>[2];
  /** What has been told of settings. */
  readonly told: Set<string>;
}

/** A mailbox with its counts. */
interface CountedMailbox {
  readonly state: MailboxState;
  readonly counts: Counts;
}

/** Counts the mailboxes of an owner, and reports those that cannot be read. */
async function countOwner(
  owner: Owner,
  { place, env, told }: Listing,
): Promise<{ readonly counted: readonly CountedMailbox[]; readonly exits: readonly ExitCode[] }> {
  const { states, unreadable, flawed } = await readOwner(owner, place);
  const counted: CountedMailbox[] = [];
  const exits = unreadable.map(({ name, refusal }) => tellError(refusal, { name, env }));
  for (const { setting, refusal } of flawed) {
    const { text } = refusal;
    const facts = { ...ownerFacts(owner), setting, ...refusalFacts(refusal) };
    if (!told.has(text)) env.output.error(text, facts);
    told.add(text); // one file may be that of all owners
    exits.push(EXIT.partial);
  }
  for (const state of states) {
    const counts = await countMailbox(state, place);
    if (counts.kind === "ok") counted.push({ state, counts: counts.value });
    else exits.push(tellError(counts, { name: state.name, env }));
  }
  return { counted, exits };
}

/** Like `countOwner`, but what stops it at this owner is told, and stops it at no other. */
async function countAlone(...[owner, listing]: Parameters<typeof countOwner>) {
  try {
    return await countOwner(owner, listing);
  } catch (error) {
    const known = systemError(error);
    // A server that cannot be reached is not asked for each of its users.
    if (known === undefined || known.code === "unreachable") throw error;
    const facts = { ...ownerFacts(owner), ...errorFacts(known) };
    listing.env.output.error(`${ownerLabel(owner)}: ${known.message}`, facts);
    return { counted: [], exits: [EXIT.partial] };
  }
}

async function listOwners(choice: OwnerChoice, listing: Listing): Promise<CommandResult<"ls">> {
  const { place, env, table } = listing;
  const { output } = env;
  if (choice.users.length === 0) await requireSomebody(place);
  const rows: string[][] = [];
  const exits: ExitCode[] = [];
  const totals = { users: 0, shared: 0, mailboxes: 0, messages: 0, bytes: 0 };
  const tell = env.soFar(() => {
    printTable(["USER", "MAILBOXES", "MESSAGES", "SIZE"], rows, table);
    return totals;
  });
  for await (const owner of chosenOwners(choice, [place])) {
    const { counted, exits: own } = await countAlone(owner, listing);
    if (choice.users.length > 0 && counted.length + own.length === 0) {
      const { message, code } = nobody(owner);
      output.error(message, { ...ownerFacts(owner), code });
      exits.push(EXIT.partial);
      continue;
    }
    const live = counted.filter(({ state }) => !parseName(state.name).isDeleted);
    const counts = sumOf(live);
    pushAll(exits, own);
    if (owner.kind === "user") totals.users += 1;
    else totals.shared += 1;
    totals.mailboxes += live.length;
    totals.messages += counts.messages;
    totals.bytes += counts.bytes;
    const deletedMailboxes = counted.length - live.length;
    const facts = { mailboxes: live.length, ...counts, deletedMailboxes, unreadable: own.length };
    output.object({ type: owner.kind, ...ownerFacts(owner), ...facts });
    rows.push([
      escapeText(ownerLabel(owner)),
      formatCount(live.length),
      formatCount(counts.messages),
      formatBytes(counts.bytes),
    ]);
  }
  return { exit: worstExit(exits), summary: tell() };
}

async function listMailboxes(owner: Owner, listing: Listing): Promise<CommandResult<"ls">> {
  const { place, env, table } = listing;
  const { counted, exits } = await countOwner(owner, listing);
  if (counted.length + exits.length === 0) throw nobody(owner, await ownerHint(owner, place));
  const rows = counted.map(({ state, counts }) => {
    const { uniqueid, uidvalidity, lastUid, highestmodseq, syncCrc, syncCrcAnnot } = state;
    env.output.object({
      type: "mailbox",
      ...ownerFacts(owner),
      ...nameFacts(state.name),
      ...{ uniqueid, uidvalidity, lastUid, highestmodseq, syncCrc, syncCrcAnnot },
      mailboxtype: state.type,
      ...counts,
    });
    return [
      escapeText(displayName(state.name, { internal: env.internalNames })),
      formatCount(counts.messages),
      formatCount(counts.unseen),
      formatBytes(counts.bytes),
    ];
  });
  printTable(["MAILBOX", "MESSAGES", "UNSEEN", "SIZE"], rows, table);
  const summary = { mailboxes: counted.length, ...sumOf(counted), unreadable: exits.length };
  return { exit: worstExit(exits), summary };
}

async function listMessages(
  owner: Owner,
  wanted: string,
  listing: Listing & { readonly withHeaders: boolean },
): Promise<CommandResult<"ls">> {
  const { place, env, table, withHeaders } = listing;
  const { states, unreadable } = await readOwner(owner, place);
  const all = [...states, ...unreadable];
  if (all.length === 0) throw nobody(owner, await ownerHint(owner, place));
  const found = chooseMailbox(all, { wanted, owner });
  if (found === undefined) {
    const hint = mailboxHint(
      wanted,
      all.map(({ name }) => name),
    );
    throw new AppError("not_found", `Cannot find mailbox ${wanted} of ${ownerLabel(owner)}`, {
      ...(hint !== undefined && { hint }),
    });
  }
  if ("refusal" in found) throw refusalError(found.refusal);
  const { state, records } = granted(await place.readMailbox(found.name));
  const rows: string[][] = [];
  const exits: ExitCode[] = [];
  const tell = env.soFar(() => {
    printMessages(rows, table);
    return { messages: rows.length };
  });
  for await (const record of recordsIn(records)) {
    if (record.expunged) continue;
    const { uid, flags, size, guid, modseq } = record;
    const opened = withHeaders ? await openHeader(record, state, place) : undefined;
    if (opened?.kind === "refused") exits.push(tellError(opened, { name: state.name, uid, env }));
    const header = opened?.kind === "ok" ? opened.value : undefined;
    const date = formatTime(record.internaldate);
    const facts = { uid, flags, date, size, guid, modseq, ...header };
    env.output.object({
      type: "message",
      ...ownerFacts(owner),
      ...nameFacts(state.name),
      ...facts,
    });
    const texts = [flags.join(" "), header?.from ?? "", header?.subject ?? ""].map(escapeText);
    const [shownFlags = "", from = "", subject = ""] = texts;
    rows.push([String(uid), shownFlags, date, String(size), guid, from, subject]);
  }
  return { exit: worstExit(exits), summary: tell() };
}

const MESSAGE_HEAD = ["UID", "FLAGS", "DATE", "SIZE", "GUID", "FROM", "SUBJECT"];
/** A terminal of so many columns holds whole GUIDs beside the rest. */
const WIDE = 120;
/** Digits of a GUID that tell messages apart; git shows as many of a large repository. */
const GUID_DIGITS = 10;

/** Prints messages; on a narrow terminal that does not hold them, GUIDs and dates are shortened. */
function printMessages(rows: readonly (readonly string[])[], table: Listing["table"]): void {
  const { width = WIDE } = table;
  if (width >= WIDE || widthOf([MESSAGE_HEAD, ...rows]) <= width) {
    printTable(MESSAGE_HEAD, rows, table);
    return;
  }
  const head = MESSAGE_HEAD.map((title) => (title === "GUID" ? "SHORT GUID" : title));
  const short = rows.map(([uid = "", flags = "", date = "", size = "", guid = "", ...texts]) => {
    const minute = date.replace(/:\d\dZ$/, "Z");
    return [uid, flags, minute, size, guid.slice(0, GUID_DIGITS), ...texts];
  });
  printTable(head, short, table);
}

async function openHeader(
  record: MailRecord,
  { name, uniqueid, partition }: MailboxState,
  place: Place,
): Promise<Outcome<MessageHeader>> {
  const { uid, guid } = record;
  const outcome = await place.message({ mailbox: name, uniqueid, partition, uid, guid });
  return outcome.kind === "refused" ? outcome : ok(await readMessageHeader(outcome.value));
}

interface Told {
  /** Internal name. */
  readonly name: string;
  readonly uid?: number;
  readonly env: CommandEnv;
}

/** Reports on stderr what could not be read, and returns the exit code for it. */
function tellError(refusal: Refusal, { name, uid, env }: Told): ExitCode {
  const { reason, text } = refusal;
  env.output.error(text, { ...refusalFacts(refusal), ...nameFacts(name), uid });
  return reason === "damaged" || reason === "moved" ? EXIT.damage : EXIT.partial;
}
