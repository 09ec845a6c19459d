/**
 * The rows of the catalogue (spool-format section 10) for what lies in a mailbox folder beside its
 * index: cyrus.header, cyrus.cache, message files, owners and modes.
 */

import { hex32 } from "../../core/bytes.ts";
import type { Unreadable } from "../../core/files.ts";
import { faultWords, row, type Telling, type WrongCrc } from "./row.ts";

/** Two values of which one should be the other. */
interface Pair<Value> {
  readonly expected: Value;
  readonly found: Value;
}

/** A message that its user has deleted is no loss any more, whatever is wrong with its file. */
interface OfMessage {
  readonly expunged?: boolean;
}

const severityFor = ({ expunged }: OfMessage): Telling =>
  expunged === true ? { severity: "warning" } : {};

const HEADER_CODES = {
  HD01: row(
    "cyrus.header unreadable",
    "critical",
    "rebuild from mailboxes.db",
    (
      facts:
        | { readonly fault: Unreadable }
        | { readonly expected: string; readonly offset: number },
    ) => ({
      text:
        "fault" in facts
          ? `cyrus.header ${faultWords(facts.fault)}`
          : `cyrus.header cannot be parsed: expected ${facts.expected} at byte ${facts.offset}`,
    }),
  ),
  HD02: row(
    "wrong or no uniqueid in cyrus.header",
    "critical",
    "decide by folder name, then db",
    // By `what` it should be: the name of its folder, or the entry in mailboxes.db.
    (facts: { readonly what: "none" } | ({ readonly what: "folder" | "list" } & Pair<string>)) => {
      if (facts.what === "none") return { text: "no uniqueid in cyrus.header", field: "uniqueid" };
      const { what, expected, found } = facts;
      const text = "uniqueid in cyrus.header is not that of its folder";
      return { ...(what === "folder" && { text }), field: "uniqueid", expected, found };
    },
  ),
  HD03: row(
    "cyrus.header contradicts mailboxes.db",
    "warning",
    "mailboxes.db wins",
    (facts: { readonly field: "name" | "mbtype" | "acl" } & Pair<string>) => facts,
  ),
  HD04: row(
    "bad flag names in cyrus.header",
    "warning",
    "rename, never shift slots",
    (
      facts:
        | { readonly what: "many"; readonly limit: number; readonly count: number }
        | { readonly what: "bad" | "twice"; readonly name: string },
    ) => {
      if (facts.what !== "many") {
        const text = facts.what === "bad" ? "bad flag name" : "flag name twice";
        return { text: `${text} in cyrus.header`, found: facts.name };
      }
      const text = `more than ${facts.limit} flag names in cyrus.header`;
      return { text, field: "flags", found: facts.count };
    },
  ),
};

const OFFSET_WORDS = {
  inside_generation: "inside the generation number",
  past_end: "behind the end of cyrus.cache",
} as const;

const CACHE_CODES = {
  CA01: row(
    "cache record unreadable",
    "error",
    "parse the message again",
    (
      facts:
        | { readonly fault: Unreadable }
        | { readonly what: keyof typeof OFFSET_WORDS; readonly offset: number }
        | { readonly what: "overrun"; readonly item: number; readonly offset: number },
    ) => {
      if ("fault" in facts) return { text: `records whose cyrus.cache ${faultWords(facts.fault)}` };
      const text =
        facts.what === "overrun"
          ? `item ${facts.item} of the cache record runs over`
          : `cache offset ${OFFSET_WORDS[facts.what]}`;
      return { text, field: "cache_offset", found: facts.offset };
    },
  ),
  CA02: row(
    "cache record CRC mismatch",
    "error",
    "parse the message again",
    ({ stored, computed }: WrongCrc) => ({
      field: "cache_crc",
      expected: hex32(stored),
      found: hex32(computed),
    }),
  ),
  CA03: row(
    "cache generation differs from the index",
    "warning",
    "none if the CRCs pass",
    // A new cache not yet renamed over the old one is the legal state L9.
    ({ inRename, expected, found }: Pair<number> & { readonly inRename: boolean }) => ({
      ...(inRename && { severity: "info", text: "cyrus.cache.NEW was not renamed yet" }),
      field: "generation_no",
      expected,
      found,
    }),
  ),
  CA04: row(
    "cache record does not describe its message",
    "warning",
    "parse the message again",
    ({ record, cache }: { readonly record: Sizes; readonly cache: Sizes | undefined }) => ({
      field: "section",
      expected: `a header of ${record.headerSize} bytes, ${record.size} in all`,
      found: cache === undefined ? "no description" : `${cache.headerSize} of ${cache.size}`,
    }),
  ),
  CA05: row(
    "more than half of the cache is waste",
    "info",
    "repack",
    ({ bytes }: { readonly bytes: number }) => ({ field: "bytes", found: bytes }),
  ),
};

interface Sizes {
  readonly headerSize: number;
  readonly size: number;
}

const OCTET_WORDS = {
  nul: "messages with NUL octets",
  eight_bit: "messages with 8-bit octets in the header",
  bare_lf: "messages with bare LF in the header",
} as const;

const ARCHIVE_WORDS = {
  both: "message in both spool and archive",
  archived_in_spool: "archived message lies in the spool",
  in_archive: "message lies in the archive",
} as const;

const MESSAGE_CODES = {
  MS01: row(
    "message file missing",
    "critical",
    "look for its GUID elsewhere",
    (facts: OfMessage) => ({
      ...severityFor(facts),
      ...(facts.expunged === true && { text: "file of an expunged message missing" }),
    }),
  ),
  MS02: row(
    "message file empty",
    "critical",
    "look for its GUID elsewhere",
    (facts: OfMessage & { readonly expected: number }) => ({
      ...severityFor(facts),
      field: "size",
      expected: facts.expected,
      found: 0,
    }),
  ),
  MS03: row(
    "message size differs from its record",
    "critical",
    "restore; the GUID decides",
    (facts: OfMessage & Pair<number>) => ({
      ...severityFor(facts),
      field: "size",
      expected: facts.expected,
      found: facts.found,
    }),
  ),
  MS04: row(
    "message is not what its GUID says",
    "critical",
    "restore; never rewrite the GUID",
    // A UUID is the shorter id of Cyrus 2.3 (spool-format 2.3).
    (facts: OfMessage & Pair<string> & { readonly by: "guid" | "uuid" }) => ({
      ...severityFor(facts),
      ...(facts.by === "uuid" && { text: "message is not what its UUID says" }),
      field: facts.by,
      expected: facts.expected,
      found: facts.found,
    }),
  ),
  MS05: row(
    "header_size wrong",
    "error",
    "parse the message again",
    (facts: OfMessage & Pair<number>) => ({
      ...severityFor(facts),
      field: "header_size",
      expected: facts.expected,
      found: facts.found,
    }),
  ),
  MS06: row("message file without a record", "error", "add under a new UID after a GUID check"),
  MS07: row("message file above last_uid", "info", "none: a delivery in flight, or add it"),
  MS08: row(
    "file that belongs to no mailbox",
    "warning",
    "move to quarantine",
    (
      facts:
        | (OfMessage & { readonly what: "message" })
        | { readonly what: "entry"; readonly kind: string; readonly isHidden: boolean },
    ) => {
      if (facts.what === "message") {
        return { ...severityFor(facts), text: "not a regular file under a message's name" };
      }
      return {
        ...(facts.isHidden && { severity: "info" }),
        ...(facts.kind !== "file" && { text: `${facts.kind} in a mailbox folder` }),
      };
    },
  ),
  MS09: row("file of an unlinked record", "info", "none: removed at the next cleanup", () => ({
    text: "files of unlinked records",
  })),
  MS10: row(
    "message in both spool and archive, or in the wrong one",
    "error",
    "keep one, set bit",
    (
      facts:
        | { readonly what: "both"; readonly other: string }
        | { readonly what: "archived_in_spool" | "in_archive" },
    ) => ({
      text: ARCHIVE_WORDS[facts.what],
      ...(facts.what === "both" && { other: facts.other }),
    }),
  ),
  MS11: row(
    "unusual hard links",
    "info",
    "break the link by a copy",
    (
      facts:
        | ({ readonly what: "two_guids"; readonly other: string } & Pair<string>)
        | { readonly what: "twice" | "outside" },
    ) => {
      switch (facts.what) {
        case "two_guids": {
          const { other, expected, found } = facts;
          const text = "one file for messages with different GUIDs";
          return { severity: "critical", text, other, expected, found };
        }
        case "twice":
          return { text: "messages that share a file with another one of the mailbox" };
        case "outside":
          return { text: "messages whose file has names outside of the mailboxes seen" };
      }
    },
  ),
  MS12: row(
    "bare LF, NUL or 8-bit octets in headers",
    "info",
    "none",
    ({ what }: { readonly what: keyof typeof OCTET_WORDS }) => ({ text: OCTET_WORDS[what] }),
  ),
  MS13: row("the same GUID twice in one mailbox", "info", "none: legal", () => ({
    text: "messages with a GUID seen before",
  })),
};

/** An octal mode as people write it. */
const octal = (mode: number) => `0${mode.toString(8)}`;

const OTHER_CODES = {
  PM01: row("wrong owner or mode", "error", "chown or chmod", tellPermission),
  PM02: row("folder on another filesystem than its partition", "info", "none"),
  TM01: row(
    "leftover of an interrupted write",
    "info",
    "remove on request",
    // Of a staging folder, how many files are old.
    ({ files }: { readonly files?: number }) =>
      files === undefined
        ? {}
        : {
            text: "files left over from deliveries or replication more than a day ago",
            found: files,
          },
  ),
  EX01: row("cyrus.expunge of Cyrus 2.3 present", "warning", "export its messages first"),
};

type PermissionFacts =
  | ({ readonly what: "folder_owner" | "file_owner" } & Pair<number>)
  | { readonly what: "writable" | "readable"; readonly mode: number }
  | { readonly what: "message_owner"; readonly expected: number }
  | { readonly what: "message_writable" }
  | { readonly what: "folder"; readonly errno: string }
  | (OfMessage & { readonly what: "message"; readonly errno: string });

function tellPermission(facts: PermissionFacts): Telling {
  switch (facts.what) {
    case "folder_owner":
    case "file_owner": {
      const [what, of] =
        facts.what === "folder_owner" ? ["folder", "partition"] : ["file", "folder"];
      const { expected, found } = facts;
      const text = `${what} owned by another user than its ${of}`;
      return { text, field: "owner", expected, found };
    }
    case "writable":
      return { text: "anybody may write here", field: "mode", found: octal(facts.mode) };
    case "readable": {
      const found = octal(facts.mode);
      return { severity: "info", text: "anybody may read here", field: "mode", found };
    }
    case "message_owner": {
      const text = "messages owned by another user than their folder";
      return { text, expected: facts.expected };
    }
    case "message_writable":
      return { text: "messages that anybody may write" };
    case "folder":
    case "message": {
      const { what, errno } = facts;
      const severity = severityFor(what === "message" ? facts : {});
      return { ...severity, text: `${what} cannot be read: ${errno}`, found: errno };
    }
  }
}

export const MAILBOX_CODES = { ...HEADER_CODES, ...CACHE_CODES, ...MESSAGE_CODES, ...OTHER_CODES };
