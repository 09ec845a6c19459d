/** The mailboxes of the store as raw files: as backupcyrusd gives those of a Cyrus. */
import { join } from "node:path";
import { AppError } from "../../core/errors.ts";
import { printMailboxAnnotations } from "../../formats/backup/mailbox_annotations.ts";
import type { FileFacts } from "../../formats/backup/wire.ts";
import { IndexImage } from "../../mailbox/index_image.ts";
import { statOf } from "../../storage/disk.ts";
import {
  factsOfContent,
  RAW_FILES,
  type RawFile,
  type RawListing,
  type RawMailbox,
  type RawRecord,
  type RawRecords,
} from "../raw_mailbox.ts";
import {
  type MailboxRow,
  readableAnnotations,
  readableMailboxes,
} from "./catalogue/mailbox_rows.ts";
import { peekIndex } from "./commit/committed_files.ts";
import { openImage, readImageFiles } from "./commit/open_mailbox.ts";
import type { OwnerFolder } from "./commit/owner_folder.ts";
import { mailboxFolder } from "./layout.ts";

/** Rereads of a mailbox that is written to under its reader before busy is reported. */
const ATTEMPTS = 20;

/** All mailboxes of an owner that have files. */
export function rawListings(folder: OwnerFolder): readonly RawListing[] {
  const { rows, damaged } = folder.read(readableMailboxes);
  return [
    ...rows
      .filter(({ intermediate }) => !intermediate)
      .map((row) => ({ ...named(row), facts: lookAt(folder, row).facts })),
    // One that is left out would be taken for deleted.
    ...damaged.map(({ name, uniqueid }) => ({ name, uniqueid, jmapid: undefined, facts: {} })),
  ];
}

/**
 * The files of a mailbox as the last commit left them; undefined for one without files. What they
 * look like from outside is looked at before and after.
 */
export function rawMailbox(folder: OwnerFolder, row: MailboxRow): RawMailbox | undefined {
  if (row.intermediate) return undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = lookAt(folder, row);
    const image = readImageFiles(folder, row);
    if (lookAt(folder, row).text !== before.text) continue;
    const files: Partial<Record<RawFile, Uint8Array>> = {};
    const facts: Partial<Record<RawFile, FileFacts>> = {};
    for (const name of RAW_FILES) {
      const bytes =
        name === "mailbox_annotations" ? before.annotations : image[`cyrus.${name}` as const];
      if (bytes === undefined) continue;
      files[name] = bytes;
      // What the journal has is not in the file yet, and counts all the same.
      const { mtime, inode } = before.facts[name] ?? { mtime: 0n, inode: 0n };
      facts[name] = { size: bytes.length, mtime, inode };
    }
    return { ...named(row), files, facts };
  }
  throw new AppError("busy", `Cannot read mailbox ${row.name}: it keeps changing`);
}

/** The records with these UIDs, of which the index need not be read as a whole. */
export function rawRecords(
  folder: OwnerFolder,
  row: MailboxRow,
  uids: readonly number[],
): RawRecords | undefined {
  if (row.intermediate) return undefined;
  const wanted = (index: IndexImage) =>
    uids.flatMap((uid): RawRecord[] => {
      const number = index.find(uid);
      if (number === undefined) return [];
      const { guid, internaldate } = index.record(number);
      return [{ uid, guid, internaldate }];
    });
  const path = `${row.uniqueid}/cyrus.index`;
  const peeked = peekIndex(folder, row.uniqueid, (file) =>
    wanted(IndexImage.openSound(file, path)),
  );
  const records = peeked?.value ?? wanted(openImage(folder, row).index);
  return { ...named(row), partition: row.details.partition, records };
}

function named({ name, uniqueid, details }: MailboxRow): Omit<RawListing, "facts"> {
  return { name, uniqueid, jmapid: details.jmapid ?? undefined };
}

/** What the files look like now; `text` is another one if any of them is. */
function lookAt(folder: OwnerFolder, row: MailboxRow) {
  const { uniqueid } = row;
  const path = join(folder.folder, mailboxFolder(uniqueid));
  const own = folder.read((database) => readableAnnotations(database, uniqueid));
  const annotations = own.length === 0 ? undefined : printMailboxAnnotations(own);
  const facts: Partial<Record<RawFile, FileFacts>> = {};
  let text = "";
  for (const name of RAW_FILES) {
    const stat = statOf(join(path, `cyrus.${name}`));
    if (name === "mailbox_annotations") {
      if (annotations !== undefined) facts[name] = factsOfContent(annotations, 2);
    } else if (stat !== undefined) {
      const seconds = BigInt(Math.floor(stat.mtimeMs / 1000));
      facts[name] = { size: stat.size, mtime: seconds, inode: BigInt(stat.ino) };
    }
    text += `${stat?.mtimeMs} ${facts[name]?.size} ${facts[name]?.inode}\n`;
  }
  return { facts, annotations, text };
}
