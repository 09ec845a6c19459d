/**
 * MS11: hard links. One file under several names is how Cyrus stores one message in several
 * mailboxes; remarkable are a file that claims two GUIDs, one that is in a mailbox twice, and names
 * outside the spool.
 */
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { isSha1 } from "../../model/guid.ts";
import { type Finding, finding } from "../finding.ts";
import type { LinkedFile } from "../mailbox/sweep_messages.ts";

interface Inode {
  readonly guid: string;
  readonly links: number;
  readonly name: string;
  readonly uid: number;
  /** The mailbox that named it last: all names of one mailbox come one after the other. */
  latest: string;
  seen: number;
}

/** Counts the names of every linked file of a spool, up to the limit. */
export class LinkCensus {
  /** By device, then by inode number. */
  readonly #devices = new Map<number, Map<number, Inode>>();
  #files = 0;
  readonly #findings: Finding[] = [];
  readonly #twice: Tallies = new Map();
  #incomplete = false;

  add(name: string, files: readonly LinkedFile[]): void {
    for (const { device, inode, links, uid, guid } of files) {
      const inodes = this.#devices.get(device) ?? new Map<number, Inode>();
      this.#devices.set(device, inodes);
      const before = inodes.get(inode);
      if (before === undefined) {
        if (this.#files < DEFAULT_LIMITS.linkedFiles) {
          inodes.set(inode, { guid, links, name, uid, latest: name, seen: 1 });
          this.#files += 1;
        } else {
          this.#incomplete = true;
        }
        continue;
      }
      before.seen += 1;
      if (before.guid !== guid && isSha1(before.guid) && isSha1(guid)) {
        const other = `${before.name} ${before.uid}`;
        const facts = { what: "two_guids", other, expected: guid, found: before.guid } as const;
        this.#findings.push(finding("MS11", { mailbox: name, uid }, facts));
      } else if (before.latest === name) {
        count(this.#twice, name, uid);
      }
      before.latest = name;
    }
  }

  /** Call once, after all mailboxes. */
  findings(): readonly Finding[] {
    const all = [...this.#findings, ...counted(this.#twice, "twice")];
    if (this.#incomplete) return all;
    const outside: Tallies = new Map();
    for (const inodes of this.#devices.values()) {
      for (const { name, uid, links, seen } of inodes.values()) {
        if (links > seen) count(outside, name, uid);
      }
    }
    return [...all, ...counted(outside, "outside")];
  }
}

/** Messages by their mailbox: how many, and the first of them. */
type Tallies = Map<string, { count: number; readonly uid: number }>;

function count(tallies: Tallies, name: string, uid: number): void {
  const tally = tallies.get(name);
  if (tally === undefined) tallies.set(name, { count: 1, uid });
  else tally.count += 1;
}

function counted(tallies: Tallies, what: "twice" | "outside"): Finding[] {
  return [...tallies].map(([mailbox, { count, uid }]) => ({
    ...finding("MS11", { mailbox, uid }, { what }),
    count,
  }));
}
