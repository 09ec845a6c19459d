/**
 * A sync server with a default domain (places/domain_names.ts): which names it is asked by, and
 * what its answers are read as. 3.6 dies of GET FULLMAILBOX with the domain.
 */
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { parseName, useridOf } from "../../model/names.ts";
import { inDomain, outOfDomain, type Rename, renamedState, renameTo } from "../domain_names.ts";
import type { Reply } from "./dialogue.ts";

/** `reply` with the names of `command`. */
export function asAsked(reply: Reply, command: GetCommand): Reply {
  const rename = renameFor(command, reply);
  if (rename === undefined) return reply;
  return { ...reply, answers: reply.answers.map((answer) => renamed(answer, rename)) };
}

/** The domain that the server has left out of `answer`, being `reply` as it was asked for. */
export function domainLeftOut(answer: Reply, reply: Reply): string | undefined {
  if (answer === reply) return undefined;
  for (const [at, after] of reply.answers.entries()) {
    const before = answer.answers[at];
    if (after.kind !== "mailbox" || before?.kind !== "mailbox") continue;
    if (after.state.name !== before.state.name) return parseName(after.state.name).domain;
  }
  return undefined;
}

/** `command` about one mailbox by the name that a server with this default domain gives it. */
export function asKnown(command: GetCommand, defaultDomain: string | undefined): GetCommand {
  if (defaultDomain === undefined) return command;
  const short = (name: string): string => outOfDomain(name, defaultDomain);
  if (command.kind === "fullmailbox") return { ...command, name: short(command.name) };
  return command.kind === "fetch" ? { ...command, mailbox: short(command.mailbox) } : command;
}

/** Undefined where all names are as they were asked for. */
function renameFor(command: GetCommand, { answers }: Reply): Rename | undefined {
  switch (command.kind) {
    case "user": {
      const [, user, domain] = /^(.+)@([^@]+)$/s.exec(command.userid) ?? [];
      const isShort = answers.some(
        (answer) => answer.kind === "mailbox" && useridOf(answer.state.name) === user,
      );
      return isShort && domain !== undefined ? (name) => inDomain(name, domain) : undefined;
    }
    case "mailboxes":
      return renameTo(command.names);
    case "fullmailbox":
    case "annotation":
      return renameTo([command.name]);
    case "quota":
      return renameTo([command.root]);
    default:
      return undefined;
  }
}

function renamed(answer: Reply["answers"][number], rename: Rename): Reply["answers"][number] {
  switch (answer.kind) {
    case "mailbox":
      return { ...answer, state: renamedState(answer.state, rename) };
    case "subscriptions":
      return { ...answer, names: answer.names.map(rename) };
    case "quota":
      return { ...answer, quota: { ...answer.quota, root: rename(answer.quota.root) } };
    case "annotation":
      return { ...answer, name: rename(answer.name) };
    default:
      return answer;
  }
}
