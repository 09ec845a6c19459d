/**
 * DB05: a uniqueid names one mailbox within a server, or a store. Where two folders claim it, the
 * one that is the copy is reported and the other one named: the one that the list of mailboxes does
 * not have, else a folder stored under another uniqueid; of folders stored by name the younger one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { MailboxPaths } from "../../places/cyrus/mailbox/mailbox_files.ts";
import { folderOf, headerFileOf } from "../../places/cyrus/mailbox/mailbox_reading.ts";
import { type Finding, finding } from "../finding.ts";
import { uniqueidOfFolder } from "../mailbox/check_header_file.ts";

export interface UniqueidClaim {
  readonly paths: MailboxPaths;
  readonly name: string;
  readonly uniqueid: string | undefined;
  /** Tells which mailbox is older: Cyrus takes the time of creation for it. */
  readonly uidvalidity: number;
  /** The list of mailboxes has this folder. */
  readonly isListed: boolean;
}

/** With when an entry was last added to the folder or removed; needed of unlisted ones only. */
interface Claim extends UniqueidClaim {
  readonly changedAt: number | undefined;
}

/** A mailbox that is just being renamed has two folders for a while. */
const PAUSES_MS = [50, 300, 1500];

export class UniqueidCensus {
  readonly #claims = new Map<string, Claim[]>();

  add(one: UniqueidClaim): void {
    if (one.uniqueid === undefined) return;
    const claim = { ...one, changedAt: one.isListed ? undefined : changeOf(one.paths) };
    const others = this.#claims.get(one.uniqueid);
    if (others === undefined) this.#claims.set(one.uniqueid, [claim]);
    else others.push(claim);
  }

  /** Looks again at folders that claim one uniqueid: they must still do so after a while. */
  async findings(): Promise<Finding[]> {
    let shared = [...this.#claims].filter(([, claims]) => claims.length > 1);
    for (const pause of PAUSES_MS) {
      if (shared.length === 0) return [];
      await sleep(pause);
      shared = shared
        .map(([id, claims]): [string, Claim[]] => [id, claims.filter(stillClaims)])
        .filter(([, claims]) => claims.length > 1);
    }
    const all: Finding[] = [];
    for (const [uniqueid, claims] of shared) {
      const [original, ...copies] = claims.toSorted(byRight(uniqueid));
      for (const { name, paths } of copies) {
        const at = { mailbox: name, path: paths.header };
        all.push(finding("DB05", at, { uniqueid, original: original?.name ?? "" }));
      }
    }
    return all;
  }
}

/** A folder that no list has and that is being made or removed is no copy. */
function stillClaims({ paths, uniqueid, isListed, changedAt }: Claim): boolean {
  if (headerFileOf(paths)?.uniqueid !== uniqueid) return false;
  return isListed || changeOf(paths) === changedAt;
}

function changeOf(paths: MailboxPaths): number | undefined {
  return folderOf(paths)?.stat.mtimeMs;
}

/** The rightful owner of a uniqueid first. */
function byRight(uniqueid: string) {
  const rank = ({ paths }: UniqueidClaim) => {
    const ofFolder = uniqueidOfFolder(paths.data);
    return ofFolder === undefined ? 1 : ofFolder === uniqueid ? 0 : 2;
  };
  return (left: UniqueidClaim, right: UniqueidClaim) =>
    Number(right.isListed) - Number(left.isListed) ||
    rank(left) - rank(right) ||
    left.uidvalidity - right.uidvalidity ||
    (left.paths.data < right.paths.data ? -1 : 1);
}
