/** Packs members of an archive, in worker threads. */
import { type Moved, moved } from "../../../threads/jobs.ts";

/**
 * One whole gzip member. Level 1 of libdeflate packs mail about as well as zlib's 5, and three
 * times as fast as `gzip -1` (performance figures of `npm run bench -- backup`).
 */
export function packMember(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  // It only reads them; its type has no view on memory that threads share.
  return Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>, { library: "libdeflate", level: 1 });
}

export const BACKUP_JOBS = {
  "backup.pack": ({ bytes }: { readonly bytes: Uint8Array }): Moved<Uint8Array<ArrayBuffer>> => {
    const packed = packMember(bytes);
    return moved(packed, [packed.buffer]);
  },
} as const;

export type BackupJobs = typeof BACKUP_JOBS;
