/** Opens the archive of one owner to be written, as a place. */
import type { Database } from "bun:sqlite";
import { asAsync } from "../../../core/lists.ts";
import type { UnreadableMailbox } from "../../../model/mailbox.ts";
import { type Owner, sameOwner } from "../../../model/names.ts";
import { ok } from "../../../model/outcome.ts";
import { takingTheRest } from "../../partial_session.ts";
import type { PlaceSession, WritablePlace } from "../../place.ts";
import { BackupPlace } from "../read/backup_place.ts";
import { EntriesInForce } from "../read/entries_in_force.ts";
import { MemberBytes } from "../read/member_bytes.ts";
import { ArchiveWriter, type WriterOptions } from "./archive_writer.ts";
import { BackupSession } from "./backup_session.ts";
import { OwnerArchive, type RunOptions } from "./owner_archive.ts";

export interface OpenArchiveOptions extends RunOptions, Pick<WriterOptions, "pack"> {
  readonly owner: Owner;
}

/**
 * The archive in `folder`, made where there is none. A run ends with `finished`; what was brought
 * without that counts too, once the place is closed. Throws AppError (busy, io).
 */
export async function openArchive(
  folder: string,
  options: OpenArchiveOptions,
): Promise<WritablePlace> {
  const files: MemberBytes[] = [];
  const committed = (database: Database, path: string): MemberBytes => {
    const bytes = new MemberBytes(database, path);
    files.push(bytes);
    return bytes;
  };
  const seconds = () => Math.floor(options.now() / 1000);
  const writer = await ArchiveWriter.open(folder, { ...options, committed, now: seconds });
  const close = async (): Promise<void> => {
    try {
      await archive.close();
    } finally {
      for (const file of files) file.close();
    }
  };
  const { owner } = options;
  const entries = new EntriesInForce(writer.database, writer);
  const archive = new OwnerArchive(owner, { writer, entries }, options);
  const locator = `backup:${folder}`;
  const place = new BackupPlace({
    ...{ locator, owner, entries, close },
    isTarget: true,
    settings: () => archive.settings,
  });
  return Object.assign(place, {
    owners: async () => ok(asAsync(writer.isThere ? [owner] : [])),
    openSession: async (): Promise<PlaceSession> =>
      takingTheRest(new BackupSession({ archive, place }), {
        isThere: (guid) => entries.hasMessage(guid),
      }),
    finished: async (whose: Owner, missing: readonly UnreadableMailbox[]): Promise<void> => {
      if (sameOwner(whose, owner)) await archive.endRun(missing);
    },
  });
}
