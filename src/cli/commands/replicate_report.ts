/** Reports steps, remaining differences and failures, as text and as JSON objects. */

import { plural } from "../../core/counts.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { escapeText } from "../../core/escape.ts";
import type { ApplyCommand } from "../../model/apply.ts";
import { type Owner, ownerName } from "../../model/names.ts";
import type { Refusal } from "../../model/outcome.ts";
import type { SurveyedStep } from "../../replicate/owner/survey.ts";
import type { FailedKind, ReplicateEvents } from "../../replicate/owner/tally.ts";
import { nameOf } from "../../replicate/plan/sides.ts";
import {
  type Decision,
  type Leftover,
  nameOfStep,
  namesMailbox,
  type Step,
} from "../../replicate/plan/steps.ts";
import type { CommandEnv } from "../command.ts";
import type { Line } from "../json/lines.ts";
import { displayName, nameFacts, ownerFacts, showName, textOfName } from "../mailbox_names.ts";
import type { OwnersProgress } from "../progress/owners_progress.ts";
import { refusalError, refusalFacts } from "../refusal_error.ts";
import { formatBytes } from "../text.ts";

/** What is said once in a run: of settings whose file is that of many users. */
export type ToldOnce = Set<string>;

export interface ReportOptions {
  readonly env: CommandEnv;
  readonly told: ToldOnce;
  readonly progress: OwnersProgress;
  /** Called with the error code of each failure. */
  readonly failed: (code: ErrorCode) => void;
}

/** Reports the events of `owner` as they happen. */
export function reportEvents(
  owner: Owner,
  { env, told, progress, failed }: ReportOptions,
): ReplicateEvents {
  const { output } = env;
  const user = textOfName(ownerName(owner));
  const facts = ownerFacts(owner);
  const said = (text: string): string => `${escapeText(user)}: ${text}`;
  return {
    step: (surveyed) => {
      const { step, counts, side } = surveyed;
      const at = side === undefined ? undefined : nameOf(side);
      const action = actionOf(surveyed);
      output.object({
        ...{ type: "step", ...facts, at, step: action },
        ...{ ...subjectFacts(step), ...counts },
      });
      const size =
        counts === undefined || counts.records === 0
          ? ""
          : ` (${plural(counts.records, "record")}, ${formatBytes(counts.bytes)} of messages)`;
      output.step(
        said(`${at === undefined ? "" : `at ${at}: `}${action} ${subjectText(step, env)}${size}`),
      );
      output.flush(); // who reads along is told before it is done
    },
    leftover: (leftover) => {
      output.object({ type: "difference", ...facts, ...aboutFacts(leftover) });
      output.line(said(`differs: ${aboutText(leftover, env)}`));
    },
    decided: (decision) => {
      output.object({ type: "step", ...facts, step: "decide", ...aboutFacts(decision) });
      output.step(said(`decided: ${aboutText(decision, env)}`));
    },
    failed: (name, refusal, kind) => {
      failed(tellFailure(name, refusal, { owner, env, kind, told }));
    },
    part: (done, of) => progress.part(owner, done, of),
    sent: (bytes) => progress.sent(bytes),
  };
}

export interface FailureOptions {
  readonly owner: Owner;
  readonly env: CommandEnv;
  readonly kind: FailedKind;
  readonly told: ToldOnce;
}

/** Reports a failure with names in the form that is shown. Returns the code of its error. */
export function tellFailure(
  name: string,
  refusal: Refusal,
  { owner, env, kind, told }: FailureOptions,
): ErrorCode {
  const { text } = refusal;
  const { code } = refusalError(refusal);
  if (kind === "setting" && told.has(text)) return code;
  told.add(text);
  const user = textOfName(ownerName(owner));
  const { output, internalNames: internal } = env;
  const isNamed = kind === "mailbox";
  const about = { name: textOfName(name), ...(isNamed && nameFacts(name)) };
  const facts = { ...ownerFacts(owner), ...about, ...refusalFacts(refusal) };
  const words = isNamed ? showName(text, name, { internal }) : text;
  output.error(`User ${user}: ${words}`, facts);
  return code;
}

function aboutFacts(about: Leftover | Decision): AboutFacts {
  const { kind, name, uid, text } = about;
  return { kind, ...(isMailbox(about) ? nameFacts(name) : { name }), uid, text };
}

type AboutFacts = Omit<Extract<Line, { type: "difference" }>, "type">;

function aboutText(about: Leftover | Decision, env: CommandEnv): string {
  const { kind, name, uid, text } = about;
  const shown = isMailbox(about) ? show(name, env) : escapeText(name);
  return `${kind} ${shown}${uid === undefined ? "" : ` uid ${uid}`}: ${escapeText(text)}`;
}

function isMailbox({ kind }: Leftover | Decision): boolean {
  return kind !== "sieve";
}

function show(name: string, { internalNames: internal }: CommandEnv): string {
  return escapeText(displayName(name, { internal }));
}

/** One or two words for what a step does. */
function actionOf({ step, content }: SurveyedStep): string {
  switch (step.kind) {
    case "mailbox":
      if (content?.rebuild !== undefined) return "rebuild";
      return step.theirs === undefined ? "create" : "update";
    case "rename":
    case "delete":
      return step.kind;
    case "deleteUser":
      return "delete user";
    case "sieve":
      return "put script";
    case "apply":
      return COMMAND_WORDS[step.command.kind] ?? step.command.kind;
  }
}

const COMMAND_WORDS: Partial<Readonly<Record<ApplyCommand["kind"], string>>> = {
  quota: "set quota",
  unquota: "remove quota",
  sub: "subscribe",
  unsub: "unsubscribe",
  seen: "set seen",
  unsieve: "remove script",
  activateSieve: "activate script",
  unactivateSieve: "deactivate script",
};

function subjectFacts(step: Step): Omit<Extract<Line, { type: "step" }>, "type" | "step"> {
  const name = nameOfStep(step);
  if (!namesMailbox(step)) return { name: textOfName(name) };
  return {
    ...nameFacts(name),
    ...(step.kind === "rename" && { from: nameFacts(step.rename.oldName) }),
  };
}

function subjectText(step: Step, env: CommandEnv): string {
  const name = nameOfStep(step);
  if (!namesMailbox(step)) return escapeText(textOfName(name));
  if (step.kind !== "rename") return show(name, env);
  return `${show(step.rename.oldName, env)} to ${show(name, env)}`;
}
