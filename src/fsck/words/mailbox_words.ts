/**
 * Facts and words of the codes for what lies in a mailbox folder beside its index: cyrus.header,
 * cyrus.cache, message files, owners and modes.
 */
import { hex32 } from "../../core/bytes.ts";
import { errnoText } from "../../core/errors.ts";
import type { Unreadable } from "../../core/files.ts";
import { faultWords, INFO, type Pair, type Telling, WARNING, type WrongCrc } from "./telling.ts";

/** A message that its user has deleted is no loss any more, whatever is wrong with its file. */
interface OfMessage {
  expunged?: boolean;
}

function ofMessage({ expunged }: OfMessage, told: Telling = {}): Telling {
  return expunged ? { severity: "warning", ...told } : told;
}

const OFFSET_WORDS = {
  inside_generation: "inside the generation number",
  past_end: "behind the end of cyrus.cache",
} as const;

interface Sizes {
  headerSize: number;
  size: number;
}

const OCTET_WORDS = {
  nul: "messages with NUL octets",
  eight_bit: "messages with 8-bit octets in the header",
  bare_lf: "messages with bare LF in the header",
} as const;

const ARCHIVE_WORDS = {
  both: "message in both spool and archive",
  left_in_archive: "message in the archive that its record does not place there",
  archived_in_spool: "archived message lies in the spool",
  in_archive: "message lies in the archive",
} as const;

const LINK_WORDS = {
  two_guids: "one file for messages with different GUIDs",
  twice: "messages that share a file with another one of the mailbox",
  outside: "messages whose file has names outside of the mailboxes seen",
} as const;

export const MAILBOX_WORDS = {
  HD01: (facts: { fault: Unreadable } | { expected: string; offset: number }) => ({
    text:
      "fault" in facts
        ? `cyrus.header ${faultWords(facts.fault)}`
        : `cyrus.header cannot be parsed: expected ${facts.expected} at byte ${facts.offset}`,
  }),
  /** By `what` the uniqueid should be: the name of its folder, or the entry in mailboxes.db. */
  HD02: (facts: { what: "none" } | ({ what: "folder" | "list" } & Pair<string>)) => {
    const field = "uniqueid";
    if (facts.what === "none") return { text: "no uniqueid in cyrus.header", field };
    const text = "uniqueid in cyrus.header is not that of its folder";
    const { what, expected, found } = facts;
    return { ...(what === "folder" && { text }), field, expected, found };
  },
  HD03: (facts: Pair<string> & { field: "name" | "mbtype" | "acl" }) => facts,
  HD04: (
    facts: { what: "many"; limit: number; count: number } | { what: "bad" | "twice"; name: string },
  ) => {
    if (facts.what === "many") {
      const text = `more than ${facts.limit} flag names in cyrus.header`;
      return { text, field: "flags", found: facts.count };
    }
    const text = facts.what === "bad" ? "bad flag name" : "flag name twice";
    return { text: `${text} in cyrus.header`, found: facts.name };
  },
  CA01: (
    facts:
      | { fault: Unreadable }
      | { what: keyof typeof OFFSET_WORDS; offset: number }
      | { what: "overrun"; item: number; offset: number },
  ) => {
    if ("fault" in facts) return { text: `records whose cyrus.cache ${faultWords(facts.fault)}` };
    const text =
      facts.what === "overrun"
        ? `item ${facts.item} of the cache record runs over`
        : `cache offset ${OFFSET_WORDS[facts.what]}`;
    return { text, field: "cache_offset", found: facts.offset };
  },
  CA02: ({ stored, computed }: WrongCrc) => ({
    ...{ field: "cache_crc", expected: hex32(stored), found: hex32(computed) },
  }),
  /** `inRename`: a new cache not yet renamed over the old one, which is no damage. */
  CA03: ({ inRename, expected, found }: Pair<number> & { inRename: boolean }) => ({
    ...(inRename && { ...INFO, text: "cyrus.cache.NEW was not renamed yet" }),
    ...{ field: "generation_no", expected, found },
  }),
  CA04: (facts: { record: Sizes; cache: Sizes | undefined } | { what: "unread" }) => {
    if ("what" in facts) return { ...INFO, text: "cache records of messages with NUL, or wrong" };
    const { record, cache } = facts;
    return {
      field: "section",
      expected: `a header of ${record.headerSize} bytes, ${record.size} in all`,
      found: cache === undefined ? "no description" : `${cache.headerSize} of ${cache.size}`,
    };
  },
  CA05: ({ bytes }: { bytes: number }) => ({ field: "bytes", found: bytes }),
  MS01: (facts: OfMessage) =>
    ofMessage(facts, facts.expunged ? { text: "file of an expunged message missing" } : {}),
  MS02: (facts: OfMessage & { expected: number }) =>
    ofMessage(facts, { field: "size", expected: facts.expected, found: 0 }),
  MS03: ({ expected, found, ...facts }: OfMessage & Pair<number>) =>
    ofMessage(facts, { field: "size", expected, found }),
  /** A UUID is the shorter id of Cyrus 2.3 (spool-format 2.3). */
  MS04: ({ field, expected, found, ...facts }: OfMessage & Pair<string> & { field: GuidField }) => {
    const text = field === "uuid" ? "message is not what its UUID says" : undefined;
    return ofMessage(facts, { text, field, expected, found });
  },
  MS05: ({ expected, found, ...facts }: OfMessage & Pair<number>) =>
    ofMessage(facts, { field: "header_size", expected, found }),
  MS08: (
    facts:
      | (OfMessage & { what: "message" })
      | { what: "entry"; kind: string; isHidden: boolean }
      | { what: "leftover" },
  ) => {
    if (facts.what === "leftover") return { text: "messages in the archive of no mailbox" };
    if (facts.what === "message") {
      return ofMessage(facts, { text: "not a regular file under a message's name" });
    }
    const text = facts.kind === "file" ? undefined : `${facts.kind} in a mailbox folder`;
    return { ...(facts.isHidden && INFO), text };
  },
  MS09: () => ({ text: "files of unlinked records" }),
  /** `other` is the copy in the archive, where both are there. */
  MS10: ({ what, other }: { what: keyof typeof ARCHIVE_WORDS; other?: string }) => ({
    ...(what === "left_in_archive" && WARNING),
    ...{ text: ARCHIVE_WORDS[what], other },
  }),
  /** Cyrus 3.0 to 3.6 leaves archived messages behind when a mailbox moves or goes. */
  MS06: ({ inArchive }: { inArchive: boolean }) => ({
    ...(inArchive && { ...WARNING, text: "message file in the archive without a record" }),
  }),
  MS11: (
    facts: { what: "twice" | "outside" } | ({ what: "two_guids"; other: string } & Pair<string>),
  ) => {
    const { what, ...values } = facts;
    return { ...(what === "two_guids" && CRITICAL), text: LINK_WORDS[what], ...values };
  },
  MS12: ({ what }: { what: keyof typeof OCTET_WORDS }) => ({ text: OCTET_WORDS[what] }),
  MS13: () => ({ text: "messages with a GUID seen before" }),
  PM01: tellPermission,
  /** Of a staging folder, how many files are old. */
  TM01: ({ files }: { files?: number }) => {
    const text = "files left over from deliveries or replication more than a day ago";
    return files === undefined ? {} : { text, found: files };
  },
};

type GuidField = "guid" | "uuid";

const CRITICAL = { severity: "critical" } as const;

type PermissionFacts =
  | ({ what: "folder_owner" | "file_owner" } & Pair<number>)
  | { what: "writable" | "readable"; mode: number }
  | { what: "message_owner"; expected: number }
  | { what: "message_writable" }
  | { what: "folder"; errno: string }
  | (OfMessage & { what: "message"; errno: string });

function tellPermission(facts: PermissionFacts): Telling {
  switch (facts.what) {
    case "folder_owner":
    case "file_owner": {
      const { expected, found } = facts;
      const isFolder = facts.what === "folder_owner";
      const [what, of] = isFolder ? ["folder", "partition"] : ["file", "folder"];
      const text = `${what} owned by another user than its ${of}`;
      return { text, field: "owner", expected, found };
    }
    case "writable":
    case "readable": {
      const found = `0${facts.mode.toString(8)}`;
      const isWritable = facts.what === "writable";
      const text = `anybody may ${isWritable ? "write" : "read"} here`;
      return { ...(!isWritable && INFO), text, field: "mode", found };
    }
    case "message_owner":
      return {
        text: "messages owned by another user than their folder",
        expected: facts.expected,
      };
    case "message_writable":
      return { text: "messages that anybody may write" };
    case "folder":
      return { text: `folder cannot be read: ${errnoText(facts.errno)}`, found: facts.errno };
    case "message": {
      const { errno } = facts;
      return ofMessage(facts, {
        text: `message cannot be read: ${errnoText(errno)}`,
        found: errno,
      });
    }
  }
}
