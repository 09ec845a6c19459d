/** One step by itself: an error that is its own becomes its refusal, and stops no other step. */
import { breathe } from "../../core/breathe.ts";
import { AppError, type ErrorCode, FormatError } from "../../core/errors.ts";
import { type Outcome, type RefusalReason, refused } from "../../model/outcome.ts";

export interface AloneOptions {
  /** Mailboxes that are left out because the connection was lost over them, with the error. */
  readonly broken?: ReadonlyMap<string, AppError> | undefined;
}

/** Errors that are about the mailbox itself; any other would come for the next one too. */
const OWN_ERRORS: Partial<Readonly<Record<ErrorCode, RefusalReason>>> = {
  bad_data: "damaged",
  protocol: "failed",
  io: "failed",
};

/**
 * Does `work` on `name`. Errors that are the mailbox's own become a refusal with that `cause`;
 * others are thrown, and their context names the mailbox.
 */
export async function alone<Value>(
  name: string,
  work: () => Promise<Outcome<Value>>,
  { broken }: AloneOptions = {},
): Promise<Outcome<Value>> {
  const before = broken?.get(name);
  if (before !== undefined) {
    const why = `the connection was lost over it each time: ${before.message}`;
    const text = `${name} is left out, for ${why}`;
    return { ...refused("failed", text), cause: before };
  }
  await breathe();
  try {
    return await work();
  } catch (error) {
    const known =
      error instanceof FormatError
        ? new AppError("bad_data", error.message, { cause: error })
        : error;
    if (!(known instanceof AppError) || known.context["mailbox"] !== undefined) throw error;
    const { code, message, context, hint } = known;
    const reason = OWN_ERRORS[code];
    const text = message.includes(name) ? message : `${name}: ${message}`;
    if (reason !== undefined) return { ...refused(reason, text), cause: known };
    throw new AppError(code, text, {
      ...{ cause: known, context: { ...context, mailbox: name } },
      ...(hint !== undefined && { hint }),
    });
  }
}
