/** What a server's NO and BAD mean as outcomes (sync-protocol.md 1.6). */
import { AppError } from "../../core/errors.ts";
import type { Answer } from "../../formats/sync/answer.ts";
import type { GetCommand } from "../../formats/sync/get_command.ts";
import { reasonOf } from "../../formats/sync/status.ts";
import { type Refusal, refused } from "../../model/outcome.ts";
import type { Reply, Status } from "./dialogue.ts";

/** Undefined for OK. Throws AppError (protocol) for BAD: one side does not speak the language. */
export function refusalIn({ kind, text }: Status, what: string): Refusal | undefined {
  if (kind === "OK") return undefined;
  if (kind === "BAD") {
    throw new AppError("protocol", `${what}: the server does not understand it: ${text}`);
  }
  const reason = reasonOf(text);
  const field = / near (\S+)/.exec(text)?.[1];
  const refusal = refused(reason, `${what}: ${text}`);
  return reason === "badParameters" && field !== undefined ? { ...refusal, field } : refusal;
}

/** The answers of a reply that must be of these kinds; throws AppError (protocol) for others. */
export function answersOf<Kind extends Reply["answers"][number]["kind"]>(
  reply: Reply,
  ...kinds: readonly Kind[]
): Extract<Reply["answers"][number], { kind: Kind }>[] {
  const found: Extract<Reply["answers"][number], { kind: Kind }>[] = [];
  for (const answer of reply.answers) {
    if (!isOf(answer, kinds)) {
      throw new AppError("protocol", `The server answers with ${answer.kind}, which was not asked`);
    }
    found.push(answer);
  }
  return found;
}

/**
 * Throws AppError (protocol) for an answer to another command than `command`: in csync nothing else
 * tells that a server has left one out, and each answer behind it would be taken for another's.
 */
export function requireFit({ answers }: Reply, command: GetCommand, where: string): void {
  const wrong = answers.find((answer) => !fits(answer, command));
  if (wrong === undefined) return;
  const text = `${where} has sent an answer to something else: ${wrong.kind} for ${command.kind}`;
  throw new AppError("protocol", text);
}

function fits(answer: Answer, command: GetCommand): boolean {
  switch (command.kind) {
    case "fullmailbox":
      return answer.kind === "mailbox" && answer.state.name === command.name;
    case "mailboxes":
      return answer.kind === "mailbox" && command.names.includes(answer.state.name);
    case "uniqueids":
      return answer.kind === "mailbox" && command.uniqueids.includes(answer.state.uniqueid);
    case "annotation":
      return answer.kind === "annotation" && answer.name === command.name;
    case "quota":
      return answer.kind === "quota" && answer.quota.root === command.root;
    case "fetch":
      return answer.kind === "message" && (answer.file?.guid ?? command.guid) === command.guid;
    case "fetchSieve":
      return answer.kind === "sieveContent" && answer.filename === command.filename;
    default:
      return true;
  }
}

function isOf<One extends { readonly kind: string }, Kind extends One["kind"]>(
  answer: One,
  kinds: readonly Kind[],
): answer is Extract<One, { kind: Kind }> {
  return kinds.some((kind) => kind === answer.kind);
}
