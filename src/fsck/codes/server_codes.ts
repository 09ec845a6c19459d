/**
 * The rows of the catalogue (spool-format section 10) for the databases of a server and its users.
 */
import type { Unreadable } from "../../core/files.ts";
import type { QuotaResource } from "../../formats/cyrus/quota.ts";
import { type DatabaseFacts, faultWords, row, type Telling, tellDatabase } from "./row.ts";

type Value = string | number | bigint;

const RECORD_WORDS = {
  no_uniqueid: "N record without a uniqueid",
  no_i_record: "N record without its I record",
  other_name: "I record of the mailbox has another name",
  differs: "I record contradicts the N record of the mailbox",
  no_n_record: "I record without its N record",
  other_uniqueid: "I record names a mailbox that has another uniqueid",
  tombstone: "I record of a mailbox that is a tombstone",
  jmap_differs: "J record contradicts the N record of the mailbox",
  no_j_record: "N record without its J record",
} as const;

const MAILBOX_LIST_CODES = {
  DB01: row(
    "mailboxes.db damaged",
    "critical",
    "write what can be read into a new file",
    (
      facts:
        | DatabaseFacts
        | { readonly what: "record"; readonly key: string; readonly expected: string },
    ) => {
      if (facts.what !== "record") return tellDatabase("mailboxes.db", facts);
      const text = "record of mailboxes.db cannot be read";
      return { text, field: facts.key, expected: facts.expected, found: "something else" };
    },
  ),
  DB02: row(
    "mailbox without a folder",
    "critical",
    "look for its uniqueid elsewhere",
    // The folder of another place that holds its uniqueid.
    ({ elsewhere }: { readonly elsewhere: string | undefined }) => ({ other: elsewhere }),
  ),
  DB03: row(
    "folder without an entry in mailboxes.db",
    "critical",
    "add one from cyrus.header",
    ({
      uniqueid,
      isNew,
    }: {
      readonly uniqueid: string | null | undefined;
      readonly isNew: boolean;
    }) => ({
      ...(uniqueid && { field: "uniqueid", found: uniqueid }),
      ...(isNew && { severity: "info", text: "new folder without an entry yet" }),
    }),
  ),
  DB04: row(
    "records of mailboxes.db contradict each other",
    "error",
    "write them from the N record",
    (facts: {
      readonly what: keyof typeof RECORD_WORDS;
      readonly field: string;
      readonly expected?: string;
      readonly found?: string;
    }) => ({
      text: RECORD_WORDS[facts.what],
      field: facts.field,
      expected: facts.expected,
      found: facts.found,
    }),
  ),
  DB05: row(
    "the same uniqueid in two mailboxes",
    "critical",
    "give the younger copy a new one",
    ({ uniqueid, original }: { readonly uniqueid: string; readonly original: string }) => ({
      field: "uniqueid",
      found: uniqueid,
      other: original,
    }),
  ),
  DB06: row(
    "uidvalidity in mailboxes.db is not that of the index",
    "error",
    "the index wins",
    ({ expected, found }: { readonly expected: number; readonly found: number }) => ({
      field: "uidvalidity",
      expected,
      found,
    }),
  ),
  DB07: row(
    "folder lies in the other layout",
    "critical",
    "follow the files",
    ({ expected, lies }: { readonly expected: string; readonly lies: "name" | "uniqueid" }) => ({
      text: `mailboxes.db says that the folder is found by ${
        lies === "name" ? "uniqueid" : "name"
      }, but it lies by ${lies}`,
      field: "T",
      expected,
    }),
  ),
  DB08: row(
    "partition unknown or wrong in mailboxes.db",
    "critical",
    "correct the partition",
    // `expected` is absent where imapd.conf does not know the partition `found`.
    ({ expected, found }: { readonly expected?: string; readonly found: string }) => ({
      text:
        expected === undefined
          ? "partition of the mailbox is not in imapd.conf"
          : "folder of the mailbox lies on another partition",
      field: "P",
      expected,
      found,
    }),
  ),
  DB09: row(
    "reverse ACLs do not fit the ACLs",
    "warning",
    "write them anew",
    (facts: { readonly what: "surplus" | "missing"; readonly identifier: string }) =>
      facts.what === "surplus"
        ? { text: "reverse ACL row that no ACL gives", field: "racl", found: facts.identifier }
        : { text: "reverse ACL row missing", field: "racl", expected: facts.identifier },
  ),
  DB10: row(
    "mailbox name that should not be",
    "warning",
    "none",
    (facts: { readonly name: string } | { readonly missingParent: string }) =>
      "name" in facts
        ? { text: "name that no mailbox may have", found: facts.name }
        : { text: "mailbox without a parent", expected: facts.missingParent },
  ),
  DB11: row(
    "counters behind the foldermodseq of a mailbox",
    "warning",
    "raise the counters",
    (facts: Behind) => ({ ...valuesOf(facts), field: "foldermodseq" }),
  ),
};

/** A counter that is lower than what a mailbox has used. */
interface Behind {
  readonly of: string;
  readonly expected: Value;
  readonly found: Value;
}

const valuesOf = ({ of, expected, found }: Behind): Telling => ({ other: of, expected, found });

/** What each resource is called for people. */
const RESOURCE_WORDS: Readonly<Record<QuotaResource, string>> = {
  S: "storage in bytes",
  M: "messages",
  AS: "annotation storage in bytes",
  NF: "mailboxes",
};

const ROOT_WORDS = {
  not_nearest: "quota root in cyrus.header is not the nearest one",
  none: "no quota root in cyrus.header, though one exists",
  no_such: "quota root in cyrus.header does not exist",
} as const;

const QUOTA_CODES = {
  QU01: row(
    "quota use wrong",
    "error",
    "write the sums",
    (
      facts:
        | DatabaseFacts
        | { readonly what: "root"; readonly root: string; readonly fault: string }
        | {
            readonly what: "sum";
            readonly root: string;
            readonly resource: QuotaResource;
            readonly expected: bigint;
            readonly found: bigint;
          },
    ) => {
      switch (facts.what) {
        case "root":
          return { text: `quota root cannot be read: ${facts.fault}`, other: facts.root };
        case "sum": {
          const { root: other, resource: field, expected, found } = facts;
          const text = `quota use of ${RESOURCE_WORDS[field]} is not the sum over its mailboxes`;
          return { text, field, expected, found, other };
        }
        default:
          return tellDatabase("quota database", facts);
      }
    },
  ),
  QU02: row(
    "wrong quota root",
    "warning",
    "set the root in cyrus.header",
    (
      facts:
        | { readonly what: "no_mailbox"; readonly root: string }
        | {
            readonly what: keyof typeof ROOT_WORDS;
            readonly expected: string;
            readonly found: string;
          },
    ) => {
      if (facts.what === "no_mailbox") {
        return { severity: "info", text: "quota root without a mailbox", other: facts.root };
      }
      const { what, expected, found } = facts;
      return { text: ROOT_WORDS[what], field: "quotaroot", expected, found };
    },
  ),
};

const SEEN_WORDS = {
  own: "seen state of a mailbox of the user's own, whose records hold it since version 12",
  shared: "seen state of a mailbox whose records hold one for all users",
} as const;

const SUBSCRIPTION_WORDS = {
  version: "unknown version of the subscription database",
  key: "key of the subscription database is no name",
} as const;

const USER_CODES = {
  SE01: row(
    "seen state damaged or stale",
    "warning",
    "clamp or drop",
    (
      facts:
        | DatabaseFacts
        | { readonly what: "entry"; readonly key: string; readonly expected: string }
        | { readonly what: "gone"; readonly uniqueid: string }
        | {
            readonly what: "beyond";
            readonly uniqueid: string;
            readonly mailbox: string;
            readonly lastUid: number;
            readonly seen: number;
          },
    ) => {
      switch (facts.what) {
        case "entry": {
          const text = `seen state cannot be parsed: expected ${facts.expected}`;
          return { text, field: facts.key };
        }
        case "gone": {
          const text = "seen state of a mailbox that is gone";
          return { severity: "info", text, field: facts.uniqueid };
        }
        case "beyond": {
          const { uniqueid: field, mailbox: other, lastUid: expected, seen: found } = facts;
          const text = "seen state goes beyond the last UID of the mailbox";
          return { text, field, other, expected, found };
        }
        default:
          return tellDatabase("seen database", facts);
      }
    },
  ),
  SE02: row(
    "seen state that the index holds by now",
    "info",
    "none: Cyrus leaves it behind",
    (facts: {
      readonly what: keyof typeof SEEN_WORDS;
      readonly uniqueid: string;
      readonly mailbox: string;
    }) => ({ text: SEEN_WORDS[facts.what], field: facts.uniqueid, other: facts.mailbox }),
  ),
  SU01: row(
    "subscription to a mailbox that does not exist",
    "info",
    "none",
    (
      facts:
        | DatabaseFacts
        | { readonly what: "version" | "key"; readonly found: string | number }
        | { readonly what: "mailbox"; readonly mailbox: string },
    ) => {
      switch (facts.what) {
        case "version":
        case "key": {
          const { what, found } = facts;
          return { severity: "warning", text: SUBSCRIPTION_WORDS[what], found };
        }
        case "mailbox":
          return { found: facts.mailbox };
        default:
          return { severity: "warning", ...tellDatabase("subscription database", facts) };
      }
    },
  ),
  CO01: row(
    "counters damaged or behind",
    "error",
    "write them anew, raised",
    (
      facts:
        | { readonly fault: Unreadable }
        | { readonly expected: string }
        | (Behind & { readonly field: "highestmodseq" | "uidvalidity" }),
    ) => {
      if ("fault" in facts) return { text: `counters ${faultWords(facts.fault)}` };
      if (!("field" in facts)) return { text: `counters damaged: expected ${facts.expected}` };
      const { field } = facts;
      return { ...valuesOf(facts), text: `counters are behind the ${field} of a mailbox`, field };
    },
  ),
  CV01: row(
    "conversations missing or damaged",
    "warning",
    "rebuild with ctl_conversationsdb -R",
    (facts: DatabaseFacts | { readonly what: "none" }) =>
      facts.what === "none"
        ? { text: "conversations are switched on, but there is no database" }
        : tellDatabase("conversations database", facts),
  ),
};

const ANNOTATION_CODES = {
  AN01: row(
    "annotations damaged or stale",
    "warning",
    "keep what can be read",
    (facts: DatabaseFacts | AnnotationFacts) => {
      switch (facts.what) {
        case "of_messages":
          return tellMessagesFile(facts.file);
        case "no_record":
          return { text: "annotation of a message that has no record", field: facts.entry };
        case "in_record": {
          const text = "annotation that the index record holds since a later version";
          return { severity: "info", text, field: facts.entry };
        }
        case "gone": {
          const { entry: field, mailbox: found } = facts;
          return { severity: "info", text: "annotation of a mailbox that is gone", field, found };
        }
        case "entry": {
          const text = `annotation cannot be parsed: expected ${facts.expected}`;
          return { text, field: facts.key };
        }
        default:
          return tellDatabase("annotations.db", facts);
      }
    },
  ),
};

type AnnotationFacts =
  /** cyrus.annotations of one mailbox; other facts of a file are those of annotations.db. */
  | { readonly what: "of_messages"; readonly file: AnnotationsFileFacts }
  | { readonly what: "no_record" | "in_record"; readonly entry: string }
  | { readonly what: "gone"; readonly entry: string; readonly mailbox: string }
  | { readonly what: "entry"; readonly key: string; readonly expected: string };

/** What can be wrong with cyrus.annotations of one mailbox; an offset is a byte of the file. */
export type AnnotationsFileFacts =
  | { readonly fault: Unreadable }
  | { readonly format: string }
  | { readonly problem: string; readonly offset: number | undefined };

function tellMessagesFile(file: AnnotationsFileFacts): Telling {
  if ("fault" in file) return { text: `cyrus.annotations ${faultWords(file.fault)}` };
  if ("format" in file) {
    const text = `cyrus.annotations is a ${file.format} file, which is not read here`;
    return { severity: "info", text };
  }
  const { problem, offset } = file;
  return offset === undefined
    ? { text: problem }
    : { text: `cyrus.annotations: ${problem}`, found: offset };
}

export const SERVER_CODES = {
  ...MAILBOX_LIST_CODES,
  ...QUOTA_CODES,
  ...USER_CODES,
  ...ANNOTATION_CODES,
};
