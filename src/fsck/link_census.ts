/**
 * MS11: hard links. One file under several names is how Cyrus stores one message in several mailboxes;
 * remarkable are a file that claims two GUIDs, one that is in a mailbox twice, and names outside the spool.
 */
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { isLegacyUuid, NULL_GUID } from "../model/guid.ts";
import type { Finding } from "./finding.ts";
import { finding } from "./finding_codes.ts";
import type { LinkedFile } from "./mailbox/sweep_messages.ts";

interface Inode {
  readonly guid: string;
  readonly links: number;
  readonly name: string;
  readonly uid: number;
  seen: number;
}

/** Null GUIDs and UUIDs of old versions say nothing about the content. */
function isSha1(guid: string): boolean {
  return guid !== NULL_GUID && !isLegacyUuid(guid);
}

/** Counts the names of every linked file of a spool, up to the limit. */
export class LinkCensus {
  /** By device, then by inode number. */
  readonly #devices = new Map<number, Map<number, Inode>>();
  #files = 0;
  readonly #findings: { readonly name: string; readonly finding: Finding }[] = [];
  readonly #twice = new Map<string, { count: number; uid: number }>();
  #incomplete = false;

  add(name: string, files: readonly LinkedFile[]): void {
    for (const { device, inode, links, uid, guid } of files) {
      const inodes = this.#devices.get(device) ?? new Map<number, Inode>();
      this.#devices.set(device, inodes);
      const before = inodes.get(inode);
      if (before === undefined) {
        if (this.#files < DEFAULT_LIMITS.linkedFiles) {
          inodes.set(inode, { guid, links, name, uid, seen: 1 });
          this.#files += 1;
        } else {
          this.#incomplete = true;
        }
        continue;
      }
      before.seen += 1;
      if (before.guid !== guid && isSha1(before.guid) && isSha1(guid)) {
        const text = "one file for messages with different GUIDs";
        const facts = {
          severity: "critical",
          text,
          uid,
          other: `${before.name} ${before.uid}`,
        } as const;
        this.#findings.push({
          name,
          finding: finding("MS11", { ...facts, expected: guid, found: before.guid }),
        });
      } else if (before.name === name) {
        const tally = this.#twice.get(name);
        this.#twice.set(name, { count: (tally?.count ?? 0) + 1, uid: tally?.uid ?? uid });
      }
    }
  }

  /** Call once, after all mailboxes. */
  findings(): readonly { readonly name: string; readonly finding: Finding }[] {
    const all = [...this.#findings];
    for (const [name, { count, uid }] of this.#twice) {
      const text = "messages that share a file with another one of the mailbox";
      all.push({ name, finding: finding("MS11", { text, uid, field: "messages", found: count }) });
    }
    if (this.#incomplete) return all;
    const outside = new Map<string, { count: number; uid: number }>();
    for (const { name, uid, links, seen } of [...this.#devices.values()].flatMap((inodes) => [
      ...inodes.values(),
    ])) {
      if (links <= seen) continue;
      const tally = outside.get(name);
      outside.set(name, { count: (tally?.count ?? 0) + 1, uid: tally?.uid ?? uid });
    }
    for (const [name, { count, uid }] of outside) {
      const text = "messages whose file has names outside of the mailboxes seen";
      all.push({ name, finding: finding("MS11", { text, uid, field: "messages", found: count }) });
    }
    return all;
  }
}
