/**
 * What `cyrusPlace` needs to know, whether it reads a bare spool or a whole server: where the
 * mailboxes are, and what is kept outside of them.
 */

import type { ListedFacts } from "../../mailbox/mailbox_state.ts";
import type { Annotation } from "../../model/annotation.ts";
import type { OwnedMailboxes, Quota, UserMeta } from "../../model/mailbox.ts";
import type { Outcome } from "../../model/outcome.ts";
import type { Holds } from "../place.ts";
import type { Current } from "./current.ts";
import type { ListedMailbox, MailboxDirectory, SnapshotOptions } from "./listed_mailboxes.ts";

/** Settings that could not be read. */
export type Flaws = Pick<OwnedMailboxes, "flawed">;

export interface CyrusSource extends SnapshotOptions {
  readonly locator: string;
  readonly holds: Holds;
  readonly directory: Current<MailboxDirectory>;
  /** Names in it are kept without it. */
  readonly defaultDomain?: string | undefined;
  /** What is known of a listed mailbox beside its own files, read now. */
  facts(mailbox: ListedMailbox): Promise<Outcome<ListedFacts>>;
  /** What cannot be read is among the flawed. */
  meta(userid: string): Promise<Outcome<UserMeta & Flaws>>;
  annotations(name: string): Promise<Outcome<readonly Annotation[]>>;
  quota(root: string): Promise<Outcome<Quota | undefined>>;
  sieveScript(userid: string, filename: string): Promise<Outcome<Uint8Array>>;
}
