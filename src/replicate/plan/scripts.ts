/** Sieve scripts as files beside mailboxes: which there are, which is active, which are alike. */
import { NULL_GUID } from "../../model/guid.ts";
import { isSieveMailbox, type SieveFile, type UserState } from "../../model/mailbox.ts";

export const SCRIPT = ".script";

/** The scripts themselves: bytecode is made from them, and marks the active one. */
export function scriptsOf(files: readonly SieveFile[]): SieveFile[] {
  return files.filter(({ filename }) => filename.endsWith(SCRIPT));
}

/** The bytecode that is there, without what is a mere mark. */
export function bytecodeIn(files: readonly SieveFile[]): SieveFile[] {
  return files.filter(({ filename, lastUpdate }) => filename.endsWith(".bc") && lastUpdate > 0);
}

/** The name without its suffix: the mark is on `x.bc`, or on the script itself. */
export function activeScript(files: readonly SieveFile[]): string | undefined {
  return files.find(({ isActive }) => isActive)?.filename.replace(/\.(bc|script)$/, "");
}

/** Whether two scripts are alike, where both places tell what is in them. */
export function haveSameContent(ours: SieveFile, theirs: SieveFile): boolean | undefined {
  const [one, other] = [ours.guid ?? NULL_GUID, theirs.guid ?? NULL_GUID];
  return one === NULL_GUID || other === NULL_GUID ? undefined : one === other;
}

/**
 * True where both sides have the scripts as messages of a mailbox, and one of them has no files
 * besides: what a Cyrus makes of the mailbox is not brought as something of its own.
 */
export function areInMailbox(source: UserState, target: UserState): boolean {
  const sides = [source, target];
  return (
    sides.every(({ mailboxes }) => mailboxes.some(isSieveMailbox)) &&
    sides.some(({ sieve }) => scriptsOf(sieve).length === 0)
  );
}
