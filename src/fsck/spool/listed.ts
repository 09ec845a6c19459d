/**
 * Mailboxes of a place that has a list of them (mailboxes.db, the catalogues of a store), while it
 * is alive. A mailbox that is renamed or deleted leaves a folder that loses one file after the
 * other, or gets them. So what seems wrong with a mailbox counts only if the list, asked before and
 * after a look, has the same mailbox at that place.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { folderOf } from "../../places/cyrus/mailbox/mailbox_reading.ts";
import type { LockPaths } from "../../storage/file_locks.ts";
import { type Finding, isDamage } from "../finding.ts";

/** What the list of a place says of a mailbox folder. */
export interface FolderIdentity {
  /** Internal name. */
  readonly name: string;
  readonly uniqueid?: string | undefined;
  /** Cyrus' lock files, to be held while it is looked at. */
  readonly locks?: Omit<LockPaths, "index">;
  /** The entry of the list: it is another one once the mailbox has been renamed. */
  readonly entry?: unknown;
}

/** The list of a place, as it was read at one moment. Paths are below the roots. */
export interface Listing {
  /** The mailbox in this folder. Undefined without one; `unknown` where the list may lack it. */
  at(relative: string): FolderIdentity | undefined | "unknown";
  /** The folders of mailboxes that a rename moves; none where folders stay where they are. */
  readonly folders: Iterable<string>;
  /** True where a folder without an entry holds mail that may be somebody's: a finding tells. */
  readonly checksUnlisted: boolean;
}

/** A look at a mailbox has found these. */
interface Checked {
  readonly findings: readonly Finding[];
  /** It changed under every look. */
  readonly unstable: boolean;
}

export interface ListedCheck<Value> {
  /** `gone`: no mailbox lies there by now. It may lie elsewhere. */
  readonly state: "checked" | "unstable" | "gone";
  readonly value: Value;
}

/** Looks at a mailbox that the list moves about, before it is called unstable. */
const LOOKS = 8;
const PAUSE_MS = 30;
/** A folder without an entry that has changed less than so long ago is being made or removed. */
const YOUNG_MS = 60_000;

/** Checks the mailbox at `paths` until what seems wrong with it is sure to be its own. */
export async function checkListed<Value extends Checked>(
  paths: MailboxPaths,
  check: () => Promise<Value>,
  relist: () => Promise<Listing>,
): Promise<ListedCheck<Value>> {
  for (let look = 0; ; look++) {
    // Most mailboxes are sound, and need not be looked up.
    const before = look === 0 ? "unknown" : (await relist()).at(paths.relative);
    const value = await check();
    if (!value.unstable && !value.findings.some(mayBeOfMove)) return { state: "checked", value };
    const listing = await relist();
    const after = listing.at(paths.relative);
    if (after === undefined) {
      return { state: isLeftAlone(paths, listing) ? "checked" : "gone", value };
    }
    const isSame = look > 0 && isDeepStrictEqual(before, after);
    if (isSame || after === "unknown") return { state: "checked", value };
    if (look === LOOKS) return { state: "unstable", value };
    await sleep(PAUSE_MS * look);
  }
}

/** False for what is wrong with a message or a mode: nothing that a rename does looks like that. */
function mayBeOfMove(one: Finding): boolean {
  return isDamage(one) && !/^(MS0[2-5]|PM0)/.test(one.code);
}

/** True of a folder that nobody has an entry for and nobody is just making or removing. */
function isLeftAlone(paths: MailboxPaths, { checksUnlisted }: Listing): boolean {
  const folder = folderOf(paths);
  // What is left over in the meta partition alone holds no mail.
  if (!checksUnlisted || folder?.path !== paths.data) return false;
  return Date.now() - folder.stat.mtimeMs > YOUNG_MS;
}
