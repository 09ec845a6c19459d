/**
 * A Cyrus with a default domain takes names in that domain and answers without it: of
 * `example.com!user.fred` it tells as `user.fred`. Its answers are read under the names that were
 * asked for, else a mailbox would be one more at each look, and would be sent for ever. 3.6 dies of
 * GET FULLMAILBOX with the domain.
 */
import type { Answer } from "../../formats/sync/answer.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { parseName, useridOf } from "../../model/names.ts";
import type { Reply } from "./dialogue.ts";

type Rename = (name: string) => string;

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
  const short = (name: string): string =>
    name.startsWith(`${defaultDomain}!`) ? name.slice(defaultDomain.length + 1) : name;
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

function renameTo(asked: readonly string[]): Rename | undefined {
  const byShort = new Map<string, string>();
  for (const name of asked) {
    const { domain } = parseName(name);
    if (domain !== undefined) byShort.set(name.slice(domain.length + 1), name);
  }
  for (const name of asked) byShort.delete(name);
  return byShort.size === 0 ? undefined : (name) => byShort.get(name) ?? name;
}

function inDomain(name: string, domain: string | undefined): string {
  return parseName(name).domain === undefined && domain !== undefined ? `${domain}!${name}` : name;
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

type State = Extract<Answer, { kind: "mailbox" }>["state"];

function renamedState(state: State, rename: Rename): State {
  const name = rename(state.name);
  const { quotaroot } = state;
  if (name === state.name || quotaroot === undefined) return { ...state, name };
  return { ...state, name, quotaroot: inDomain(quotaroot, parseName(name).domain) };
}
