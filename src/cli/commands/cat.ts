/** `bobbin cat PLACE GUID|USER/MAILBOX/UID` prints a message whose SHA-1 is right. */
import { AppError } from "../../core/errors.ts";
import { type Guid, isGuid } from "../../model/guid.ts";
import { isIntermediate } from "../../model/mailbox.ts";
import { parseName, useridOf } from "../../model/names.ts";
import type { Refusal } from "../../model/outcome.ts";
import type { MessageContent, Place } from "../../places/place.ts";
import { chosenOwners } from "../chosen_owners.ts";
import type { CommandEnv, CommandResult, Handler, Register } from "../command.ts";
import { EXIT } from "../exit.ts";
import { bytesOfArgument, namesMeant } from "../mailbox_names.ts";
import { addPlaceOptions, openPlace } from "../open_place.ts";
import { granted, refusalError } from "../refusal_error.ts";
import { mailboxHint, ownerHint } from "../similar_names.ts";
import { lookAtOwner, readOwner, recordsIn } from "./place_contents.ts";

export const registerCat: Register = (program, handle) => {
  addPlaceOptions(program.command("cat"))
    .summary("print one message")
    .description(
      "Checks the SHA-1 of a message and prints it, byte for byte. Name it by mailbox and UID " +
        "(user/fred/Sub/7, fred@example.com/Sub/7, fred/INBOX/7), or by its GUID: then it is " +
        "taken from any mailbox that has it undamaged.",
    )
    .argument("<place>", "where it lies")
    .argument("<message>", "GUID or USER/MAILBOX/UID")
    .option("--raw", "print control characters to a terminal too")
    .action(handle(runCat));
};

const runCat: Handler = async (args, options, env) => {
  const [text = "", message = ""] = args as readonly [string, string];
  refuseOutput(options["raw"] === true, env);
  const place = await openPlace(text, env, options);
  try {
    const guid = message.toLowerCase();
    const content = isGuid(guid)
      ? await findByGuid(place, guid)
      : await findByUid(place, parseAddress(message), env);
    return await print(content, env);
  } finally {
    await place.close();
  }
};

/** A message may hold any bytes: it goes to a terminal only with `--raw`, never into JSON. */
function refuseOutput(raw: boolean, { output }: CommandEnv): void {
  if (output.json) {
    throw new AppError("usage", "Cannot print a message as JSON lines: cat gives it byte for byte");
  }
  if (process.stdout.isTTY !== true || raw) return;
  throw new AppError("usage", "Cannot print a message to a terminal", {
    hint: "Send it to a file, or give --raw",
  });
}

async function print(content: MessageContent, { output }: CommandEnv): Promise<CommandResult> {
  for await (const chunk of content.chunks()) output.bytes(chunk);
  return { exit: EXIT.ok };
}

/** The first sound copy in any mailbox; a damaged one counts only if there is no other. */
async function findByGuid(place: Place, guid: Guid): Promise<MessageContent> {
  if (!place.holds.userList) {
    throw new AppError("usage", `Cannot search ${place.locator}, which cannot list its users`, {
      hint: "Give USER/MAILBOX/UID in place of the GUID",
    });
  }
  let wrong: Refusal | undefined;
  let unread: Refusal | undefined;
  for await (const owner of chosenOwners({ users: [], shared: false }, [place])) {
    const contents = await lookAtOwner(owner, place);
    if (contents.kind === "refused") {
      unread ??= contents;
      continue;
    }
    const { states, unreadable } = contents.value;
    unread ??= unreadable[0]?.refusal;
    for (const { name, ...state } of states) {
      if (isIntermediate(state)) continue;
      const copies = await copiesIn(place, name, guid);
      if (copies.sound !== undefined) return copies.sound;
      wrong ??= copies.wrong;
      unread ??= copies.unread;
    }
  }
  if (wrong !== undefined) throw refusalError(wrong);
  throw new AppError("not_found", `Cannot find a message with the GUID ${guid}`, {
    ...(unread !== undefined && { hint: `Not every mailbox could be read: ${unread.text}` }),
  });
}

interface Copies {
  readonly sound?: MessageContent;
  /** Why a copy cannot be given out. */
  readonly wrong?: Refusal;
  /** Why the mailbox could not be read. */
  readonly unread?: Refusal;
}

async function copiesIn(place: Place, name: string, guid: Guid): Promise<Copies> {
  const reading = await place.readMailbox(name);
  if (reading.kind === "refused") return { unread: reading };
  const { state, records } = reading.value;
  let copies: Copies = {};
  for await (const record of recordsIn(records)) {
    if (record.guid !== guid) continue;
    const { uniqueid, partition } = state;
    const { uid } = record;
    const outcome = await place.message({ mailbox: name, uniqueid, partition, uid, guid });
    if (outcome.kind === "ok") return { sound: outcome.value };
    // The file of an expunged message may have been removed already.
    if (outcome.reason !== "nonexistent" || !record.expunged) copies = { wrong: outcome };
  }
  return copies;
}

interface Address {
  /** The name as it was given. */
  readonly mailbox: string;
  readonly uid: number;
}

function parseAddress(message: string): Address {
  const [, mailbox = "", uid = ""] = /^(.+)\/([1-9][0-9]{0,9})\.?$/s.exec(message) ?? [];
  if (mailbox !== "" && Number(uid) <= 0xffff_ffff) return { mailbox, uid: Number(uid) };
  throw new AppError("usage", `Cannot read ${message}: neither a GUID nor USER/MAILBOX/UID`, {
    hint: "A GUID has 40 digits (`bobbin ls --full`); else give user/fred/Sub/7, or fred/INBOX/7",
  });
}

async function findByUid(
  place: Place,
  { mailbox, uid }: Address,
  env: CommandEnv,
): Promise<MessageContent> {
  const [first = "", ...others] = env.internalNames
    ? [bytesOfArgument(mailbox)]
    : namesMeant(mailbox);
  let reading = await place.readMailbox(first);
  for (const name of others) {
    if (reading.kind === "ok" || reading.reason !== "nonexistent") break;
    reading = await place.readMailbox(name);
  }
  if (reading.kind === "refused" && reading.reason === "nonexistent") {
    const meant = others.find((name) => useridOf(name) !== undefined) ?? first;
    const hint = await mailboxOrOwnerHint(mailbox, meant, place);
    throw new AppError("not_found", `Cannot find mailbox ${mailbox}`, {
      ...(hint !== undefined && { hint }),
    });
  }
  const { state, records } = granted(reading);
  for await (const record of recordsIn(records)) {
    if (record.uid !== uid) continue;
    const { name, uniqueid, partition } = state;
    const { guid } = record;
    return granted(await place.message({ mailbox: name, uniqueid, partition, uid, guid }));
  }
  throw new AppError("not_found", `Cannot find uid ${uid} in mailbox ${mailbox}`);
}

/** What may be meant where there is no mailbox of this internal name. */
async function mailboxOrOwnerHint(
  wanted: string,
  name: string,
  place: Place,
): Promise<string | undefined> {
  const { owner } = parseName(name);
  const { states } = await readOwner(owner, place);
  if (states.length === 0) return ownerHint(owner, place);
  return mailboxHint(
    wanted,
    states.map((state) => state.name),
  );
}
