/** Facts and words of the codes for archives of backups. */
import { INFO } from "./telling.ts";

export const BACKUP_WORDS = {
  /** `coffset` is the byte of the data file at which the damaged member begins. */
  BK01: ({ why, coffset }: { why: string; coffset: number }) => ({
    text: `archive damaged in the member at byte ${coffset}: ${why}`,
  }),
  BK02: ({ why }: { why: string }) => ({ text: why }),
  /** `isReplaced`: a sound copy of the message has come behind it. */
  BK03: ({ expected, isReplaced }: { expected: string; isReplaced: boolean }) => ({
    ...{ field: "sha1", expected },
    ...(isReplaced && { ...INFO, text: "damaged copy of a message that is there once more" }),
  }),
  BK04: ({ name }: { name: string }) => ({ found: name }),
  BK05: ({ guid }: { guid: string }) => ({ field: "guid", expected: guid }),
  /** A row of the table `table`, as it is and as the archive says. */
  BK06: ({ table, key, expected, found }: RowFacts) => ({
    ...{ text: `row of ${table} that the archive does not say: ${key}`, expected, found },
  }),
  BK07: ({ why }: { why: string }) => ({ text: `file that cannot be read: ${why}` }),
  BK08: ({ why }: { why: string }) => ({ text: why }),
};

interface RowFacts {
  table: string;
  key: string;
  expected: string;
  found: string;
}
