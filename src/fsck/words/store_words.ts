/** Facts and words of the codes for what only Bobbin's store has. */
import { type Pair, pair } from "./telling.ts";

export const STORE_WORDS = {
  /** `error` is absent where a folder of the store has no catalogue. */
  ST01: ({ error, other }: { error?: string; other?: string }) => ({
    ...{ text: error ?? "folder without a catalogue", other },
  }),
  ST03: pair<string>("name"),
  ST05: pair<string>(),
  ST07: ({ what }: { what: "message" | "other" }) =>
    what === "message" ? { text: "message in the pool that no record names" } : {},
  /** Of the mailbox `other`: its owner, and who holds its uniqueid instead. */
  ST08: (facts: Pair<string> & { other: string }) => ({ field: "uniqueid", ...facts }),
  ST09: ({ uniqueid, owner }: { uniqueid: string; owner: string }) => ({
    ...{ field: "uniqueid", found: uniqueid, other: owner },
  }),
  ST10: ({ step, uniqueid }: { step: string; uniqueid: string }) => ({
    ...{ field: step, found: uniqueid },
  }),
  /** `other` is the mailbox of a tombstone; without it the folder has none. */
  ST12: ({ other }: { other?: string }) =>
    other === undefined ? { text: "folder in the trash that no tombstone names" } : { other },
  ST13: (facts: { uniqueid: string; source: string; target: string }) => ({
    ...{ field: "uniqueid", expected: facts.target, found: facts.source, other: facts.uniqueid },
  }),
  ST14: ({ steps, why, other }: { steps: number; why: string; other: string }) => ({
    ...{ text: `${steps} committed changes wait: ${why}`, other },
  }),
  ST16: ({ error }: { error: string }) => ({ text: error }),
};
