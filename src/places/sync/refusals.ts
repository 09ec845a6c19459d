/** What a server's NO and BAD mean as outcomes (sync-protocol.md 1.6). */
import { AppError } from "../../core/errors.ts";
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

function isOf<Answer extends { readonly kind: string }, Kind extends Answer["kind"]>(
  answer: Answer,
  kinds: readonly Kind[],
): answer is Extract<Answer, { kind: Kind }> {
  return kinds.some((kind) => kind === answer.kind);
}
