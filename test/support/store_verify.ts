/** Looks at a whole store without trusting the code that wrote it: the judge of the crash tests. */
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hasBit, INTERNAL_FLAG } from "../../src/formats/cyrus/index/index_flags.ts";
import { type Finding, tell } from "../../src/fsck/finding.ts";
import { checkOwner, checkStore } from "../../src/fsck/store/check_store.ts";
import { poolEntries } from "../../src/fsck/store/pool_entries.ts";
import { crc32 } from "../../src/hash/crc32.ts";
import { IndexImage } from "../../src/mailbox/index_image.ts";
import { allMailboxes, annotationBytes } from "../../src/places/store/catalogue/mailbox_rows.ts";
import { openImage } from "../../src/places/store/commit/open_mailbox.ts";
import type { OwnerFolder } from "../../src/places/store/commit/owner_folder.ts";
import { Store } from "../../src/places/store/store.ts";
import { guidOf, NOW } from "./store_fixture.ts";

/** What a store holds, as one text a mailbox: name, then `uid guid flags` of its live records. */
export type Contents = Record<string, string>;

/**
 * Opens the store at `root`, checks every byte of it, and says what it holds. Throws at any damage.
 */
export function verifyStore(root: string): Contents {
  const store = new Store(root, { now: () => NOW + 10 });
  try {
    const contents: Contents = {};
    for (const owner of store.owners()) {
      const folder = store.find(owner);
      if (folder === undefined) continue; // the kill came before the catalogue was made
      if (folder.pending().length > 0) throw new Error("the journal was not replayed at opening");
      refuseFindings(toEnd(checkOwner(folder)));
      verifyPool(folder);
      verifyMailboxes(folder, contents);
    }
    refuseFindings(toEnd(checkStore(store)));
    return contents;
  } finally {
    store.close();
  }
}

function toEnd<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

function refuseFindings(findings: readonly Finding[]): void {
  const bad = findings.map(tell).filter(({ severity }) => severity !== "info");
  if (bad.length > 0) throw new Error(`damage: ${JSON.stringify(bad)}`);
}

function verifyPool({ folder }: OwnerFolder): void {
  for (const { path, guid } of poolEntries(folder)) {
    const isSound = guid === undefined || guidOf(readFileSync(join(folder, path))) === guid;
    if (!isSound) throw new Error(`${path} is not what its name says`);
  }
}

function verifyMailboxes(folder: OwnerFolder, contents: Contents): void {
  for (const row of folder.read(allMailboxes)) {
    if (row.intermediate) continue;
    const path = join(folder.folder, row.uniqueid);
    const bytes = readFileSync(join(path, "cyrus.index"));
    const index = IndexImage.open(bytes, "cyrus.index");
    const wrong = (what: string): Error => new Error(`${row.name}: ${what}`);
    const crcs = index.storedCrcs;
    if (crcs?.stored !== crcs?.computed) throw wrong("header CRC");
    if (index.missingRecords > 0 || index.tailBytes > 0) throw wrong("length of the index");
    if (index.firstBadRecord() !== undefined) throw wrong("record CRC");
    if (crc32(readFileSync(join(path, "cyrus.header"))) !== index.header.headerFileCrc) {
      throw wrong("header file CRC");
    }
    const image = openImage(folder, row);
    const before = image.index.header;
    image.recount(folder.read((database) => annotationBytes(database, row.uniqueid)));
    const differs = Object.keys(before).filter(
      (key) => Reflect.get(before, key) !== Reflect.get(image.index.header, key),
    );
    if (differs.length > 0) throw wrong(`sums ${differs}`);
    const lines: string[] = [];
    for (const record of index.records()) {
      if (hasBit(record.systemFlags, INTERNAL_FLAG.unlinked)) continue;
      const message = readFileSync(join(path, `${record.uid}.`));
      if (guidOf(message) !== record.guid) throw wrong(`message ${record.uid}`);
      if (lstatSync(join(path, `${record.uid}.`)).size !== record.size)
        throw wrong(`size ${record.uid}`);
      if (hasBit(record.systemFlags, INTERNAL_FLAG.expunged)) continue;
      lines.push(`${record.uid} ${record.guid} ${record.systemFlags} ${record.modseq}`);
    }
    contents[row.name] = lines.join("\n");
  }
}
