/**
 * DB05: a uniqueid names one mailbox. Where two folders claim it, the one that is the copy is
 * reported and the other one named: a folder stored under another uniqueid is the copy; of folders
 * stored by name it is the younger one.
 */
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { type Finding, finding } from "../finding.ts";
import { uniqueidOfFolder } from "../mailbox/check_header_file.ts";

export interface UniqueidClaim {
  readonly paths: MailboxPaths;
  readonly name: string;
  readonly uniqueid: string | undefined;
  /** Tells which mailbox is older: Cyrus takes the time of creation for it. */
  readonly uidvalidity: number;
}

export class UniqueidCensus {
  readonly #claims = new Map<string, UniqueidClaim[]>();

  add(claim: UniqueidClaim): void {
    if (claim.uniqueid === undefined) return;
    const others = this.#claims.get(claim.uniqueid);
    if (others === undefined) this.#claims.set(claim.uniqueid, [claim]);
    else others.push(claim);
  }

  findings(): Finding[] {
    const all: Finding[] = [];
    for (const [uniqueid, claims] of this.#claims) {
      if (claims.length === 1) continue;
      const [original, ...copies] = claims.toSorted(byRight(uniqueid));
      for (const { name, paths } of copies) {
        const at = { mailbox: name, path: paths.header };
        all.push(finding("DB05", at, { uniqueid, original: original?.name ?? "" }));
      }
    }
    return all;
  }
}

/** The rightful owner of a uniqueid first. */
function byRight(uniqueid: string) {
  const rank = ({ paths }: UniqueidClaim) => {
    const ofFolder = uniqueidOfFolder(paths.data);
    return ofFolder === undefined ? 1 : ofFolder === uniqueid ? 0 : 2;
  };
  return (left: UniqueidClaim, right: UniqueidClaim) =>
    rank(left) - rank(right) ||
    left.uidvalidity - right.uidvalidity ||
    (left.paths.data < right.paths.data ? -1 : 1);
}
