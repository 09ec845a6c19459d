/** What a plan is made of: steps at the target, and what they leave. */
import type { ApplyCommand } from "../../model/apply.ts";
import type { MailboxState, UserState } from "../../model/mailbox.ts";
import type { Owner } from "../../model/names.ts";
import type { Holds } from "../../places/place.ts";
import type { Rename } from "./renames.ts";

export type Mode = "merge" | "mirror";

/** Brings the content and the state of one mailbox. */
export interface MailboxStep {
  readonly kind: "mailbox";
  /** Its name at both sides once the renames are done. */
  readonly name: string;
  readonly ours: MailboxState;
  /** The target's, under its new name; undefined for one to be made. */
  readonly theirs: MailboxState | undefined;
  /** The target's name for it before the renames. */
  readonly nameBefore: string;
  /**
   * `all`: the target has no records. `newer`: those above the target's highestmodseq, for it is
   * plainly behind. `compare`: every record of both.
   */
  readonly records: "all" | "newer" | "compare";
}

export type Step =
  | MailboxStep
  | { readonly kind: "rename"; readonly rename: Rename; readonly command: ApplyCommand }
  | { readonly kind: "delete"; readonly state: MailboxState }
  | { readonly kind: "deleteUser"; readonly userid: string }
  /** A script, whose bytes are fetched when its turn comes. */
  | { readonly kind: "sieve"; readonly filename: string; readonly lastUpdate: number }
  | { readonly kind: "apply"; readonly command: ApplyCommand };

/** What stays different after a merge: what only the target has, or has instead. It is named. */
export interface Leftover {
  readonly kind: "mailbox" | "message" | "flags" | "subscription" | "sieve" | "seen" | "quota";
  readonly name: string;
  readonly uid?: number;
  readonly text: string;
}

/** What was decided where two sides that are both written disagree. */
export interface Decision extends Omit<Leftover, "kind"> {
  readonly kind: Leftover["kind"] | "state";
}

export interface Plan {
  readonly steps: readonly Step[];
  readonly leftovers: readonly Leftover[];
}

export interface PlanRequest {
  readonly owner: Owner;
  readonly mode: Mode;
  readonly source: UserState;
  readonly target: UserState;
  /** What both places hold. */
  readonly holds: Holds;
  /** The target keeps or runs the bytecode of scripts: it is sent too. */
  readonly takesBytecode?: boolean;
}

/** True for steps that are about a mailbox by its name. */
export function namesMailbox(step: Step): boolean {
  if (step.kind !== "apply") return step.kind !== "sieve" && step.kind !== "deleteUser";
  return ["quota", "unquota", "sub", "unsub"].includes(step.command.kind);
}

/** What a step is about: an internal name, a script, a quota root, a user. */
export function nameOfStep(step: Step): string {
  switch (step.kind) {
    case "mailbox":
      return step.name;
    case "rename":
      return step.rename.newName;
    case "delete":
      return step.state.name;
    case "deleteUser":
      return step.userid;
    case "sieve":
      return step.filename;
    case "apply":
      return nameOfCommand(step.command);
  }
}

function nameOfCommand(command: ApplyCommand): string {
  switch (command.kind) {
    case "quota":
      return command.quota.root;
    case "unquota":
      return command.root;
    case "sub":
    case "unsub":
      return command.name;
    case "seen":
      return command.seen.uniqueid;
    case "unsieve":
    case "activateSieve":
      return command.filename;
    default:
      return command.kind;
  }
}
