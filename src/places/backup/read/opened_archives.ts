/** Archives that are opened when they are asked for, of which those used last stay open. */
import type { Place } from "../../place.ts";

/** Each has two files. */
const MOST_OPEN = 64;

export interface OpenedArchives<Opened extends Place> {
  /** The archive in a folder; the error of its opening is that of each who asks. */
  readonly in: (folder: string) => Promise<Opened>;
  /** Those that are open. */
  readonly all: () => Iterable<Promise<Opened>>;
  readonly close: () => Promise<void>;
}

/** Opens archives by `open`. */
export function openedArchives<Opened extends Place>(
  open: (folder: string) => Promise<Opened>,
): OpenedArchives<Opened> {
  const opened = new Map<string, Promise<Opened>>();
  return {
    in: (folder) => {
      const known = opened.get(folder) ?? open(folder);
      opened.delete(folder);
      opened.set(folder, known);
      for (const [oldest, place] of opened) {
        if (opened.size <= MOST_OPEN) break;
        opened.delete(oldest);
        void place.then(
          (one) => one.close(),
          () => undefined, // who opened it has been told
        );
      }
      return known;
    },
    all: () => opened.values(),
    close: async () => {
      for (const place of opened.values()) await (await place).close();
    },
  };
}
