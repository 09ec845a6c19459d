/** The rows of the catalogue for what only Bobbin's store has. */
import { row } from "./row.ts";

export const STORE_CODES = {
  ST01: row(
    "mailbox of the catalogue without a sound folder",
    "critical",
    "reconstruct",
    // `error` is absent where a folder of the store has no catalogue.
    ({ error, mailbox }: { readonly error?: string; readonly mailbox?: string }) => ({
      text: error ?? "folder without a catalogue",
      other: mailbox,
    }),
  ),
  ST02: row("mailbox folder that the catalogue does not name", "error", "reconstruct"),
  ST03: row(
    "cyrus.header has another name than the catalogue",
    "warning",
    "the catalogue wins",
    ({ expected, found }: { readonly expected: string; readonly found: string }) => ({
      field: "name",
      expected,
      found,
    }),
  ),
  ST04: row("leftover of a transaction that did not commit", "info", "none: gc removes it"),
  ST05: row(
    "message in the pool is not what its name says",
    "critical",
    "take a sound copy",
    ({ guid, found }: { readonly guid: string; readonly found: string }) => ({
      expected: guid,
      found,
    }),
  ),
  ST06: row("message of a record that the pool lacks", "info", "link it back from the folder"),
  ST07: row(
    "file in the pool that no record names",
    "info",
    "none: gc removes it",
    ({ what }: { readonly what: "message" | "other" }) =>
      what === "message" ? { text: "message in the pool that no record names" } : {},
  ),
  ST08: row(
    "uniqueid not registered for its owner",
    "error",
    "reconstruct",
    (facts: { readonly owner: string; readonly holder: string; readonly mailbox: string }) => ({
      field: "uniqueid",
      expected: facts.owner,
      found: facts.holder,
      other: facts.mailbox,
    }),
  ),
  ST09: row(
    "uniqueid registered for an owner who has no such mailbox",
    "info",
    "none: taken over",
    ({ uniqueid, owner }: { readonly uniqueid: string; readonly owner: string }) => ({
      field: "uniqueid",
      found: uniqueid,
      other: owner,
    }),
  ),
  ST10: row(
    "committed change not yet written to its file",
    "info",
    "none: the next writer does it",
    ({ step, uniqueid }: { readonly step: string; readonly uniqueid: string }) => ({
      field: step,
      found: uniqueid,
    }),
  ),
  ST11: row("staged messages of a session", "info", "none: gc removes them when it is over"),
  ST12: row(
    "trash and tombstones disagree",
    "warning",
    "none: gc removes it in time",
    // `mailbox` is that of a tombstone whose folder is gone; without it the folder has no
    // tombstone.
    ({ mailbox }: { readonly mailbox?: string }) =>
      mailbox === undefined
        ? { text: "folder in the trash that no tombstone names" }
        : { other: mailbox },
  ),
  ST13: row(
    "mailbox half handed over to another owner",
    "info",
    "none: the next to open either",
    (facts: { readonly uniqueid: string; readonly source: string; readonly target: string }) => ({
      field: "uniqueid",
      expected: facts.target,
      found: facts.source,
      other: facts.uniqueid,
    }),
  ),
  ST14: row(
    "committed changes that the files of their mailbox do not take",
    "critical",
    "put the folder back, or reconstruct drops them",
    (facts: { readonly steps: number; readonly why: string; readonly mailbox: string }) => ({
      text: `${facts.steps} committed changes wait: ${facts.why}`,
      other: facts.mailbox,
    }),
  ),
  ST15: row("file, folder or link that is no part of a store", "warning", "none: move it away"),
};
