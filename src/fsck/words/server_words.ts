/** Facts and words of the codes for the databases of a server and the files of its users. */
import type { Unreadable } from "../../core/files.ts";
import type { QuotaResource } from "../../formats/cyrus/quota.ts";
import { nameProblem } from "../../model/names.ts";
import type { QuotaReading } from "../../places/cyrus/server/quota_roots.ts";
import {
  type DatabaseFacts,
  faultWords,
  INFO,
  type Pair,
  pair,
  type Telling,
  tellDatabase,
  WARNING,
} from "./telling.ts";

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

const MAILBOX_LIST_WORDS = {
  DB01: (facts: DatabaseFacts | { what: "record"; key: string; expected: string }) => {
    if (facts.what !== "record") return tellDatabase("mailboxes.db", facts);
    const text = "record of mailboxes.db cannot be read";
    return { text, field: facts.key, expected: facts.expected, found: "something else" };
  },
  /** `other` is the folder that holds its uniqueid. */
  DB02: ({ other }: { other: string | undefined }) => ({ other }),
  DB03: ({ uniqueid, isNew, isLeftover }: UnlistedFacts) => ({
    ...(uniqueid && { field: "uniqueid", found: uniqueid }),
    ...(isLeftover && { ...WARNING, text: "folder without mail and without an entry" }),
    ...(isNew && { ...INFO, text: "new folder without an entry yet" }),
  }),
  DB04: ({ what, ...values }: Partial<Pair<string>> & ContradictionFacts) => ({
    ...(what === "no_j_record" && INFO),
    ...{ text: RECORD_WORDS[what], ...values },
  }),
  DB05: ({ uniqueid, original }: { uniqueid: string; original: string }) => ({
    ...{ field: "uniqueid", found: uniqueid, other: original },
  }),
  DB06: pair<number>("uidvalidity"),
  DB07: ({ expected, lies }: { expected: string; lies: "name" | "uniqueid" }) => {
    const said = lies === "name" ? "uniqueid" : "name";
    const text = `mailboxes.db says that the folder is found by ${said}, but it lies by ${lies}`;
    return { text, field: "T", expected };
  },
  /** `expected` is absent where imapd.conf does not know the partition `found`. */
  DB08: ({ expected, found }: { expected?: string; found: string }) => {
    const text =
      expected === undefined
        ? "partition of the mailbox is not in imapd.conf"
        : "folder of the mailbox lies on another partition";
    return { text, field: "P", expected, found };
  },
  DB09: ({ what, identifier }: { what: "surplus" | "missing"; identifier: string }) =>
    what === "surplus"
      ? { text: "reverse ACL row that no ACL gives", field: "racl", found: identifier }
      : { text: "reverse ACL row missing", field: "racl", expected: identifier },
  DB10: (facts: { name: string } | { missingParent: string }) =>
    "name" in facts
      ? { text: `name that no mailbox may have: ${nameProblem(facts.name)}`, found: facts.name }
      : { ...INFO, text: "mailbox without a parent", expected: facts.missingParent },
  DB11: (facts: Behind) => ({ field: "foldermodseq", ...facts }),
  DB12: (facts: DatabaseFacts) => tellDatabase("deliver.db", facts),
};

interface UnlistedFacts {
  uniqueid: string | null | undefined;
  isNew: boolean;
  /** It lies on the meta or archive partition alone. */
  isLeftover: boolean;
}

interface ContradictionFacts {
  what: keyof typeof RECORD_WORDS;
  field: string;
}

/** A counter that is lower than what the mailbox `other` has used. */
interface Behind extends Pair<number | bigint> {
  other: string;
}

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

const QUOTA_WORDS = {
  QU01: (
    facts:
      | DatabaseFacts
      | { what: "root"; root: string; fault: NonNullable<QuotaReading["fault"]> }
      | ({ what: "sum"; root: string; resource: QuotaResource } & Pair<bigint>),
  ) => {
    if (facts.what === "root") {
      const { fault, root: other } = facts;
      return { text: `quota root ${quotaFault(fault)}`, other };
    }
    if (facts.what !== "sum") return tellDatabase("quota database", facts);
    const { root: other, resource: field, expected, found } = facts;
    const text = `quota use of ${RESOURCE_WORDS[field]} is not the sum over its mailboxes`;
    return { text, field, expected, found, other };
  },
  QU02: (
    facts:
      | { what: "no_mailbox"; root: string }
      | ({ what: keyof typeof ROOT_WORDS } & Pair<string>),
  ) => {
    if (facts.what === "no_mailbox") {
      return { ...INFO, text: "quota root without a mailbox", other: facts.root };
    }
    const { what, ...values } = facts;
    return { text: ROOT_WORDS[what], field: "quotaroot", ...values };
  },
};

const SEEN_WORDS = {
  own: "seen state of a mailbox of the user's own, whose records hold it since version 12",
  shared: "seen state of a mailbox whose records hold one for all users",
} as const;

const SUBSCRIPTION_WORDS = {
  version: "unknown version of the subscription database",
  key: "key of the subscription database is no name",
} as const;

interface SeenFacts {
  uniqueid: string;
  mailbox: string;
}

const USER_WORDS = {
  SE01: (
    facts:
      | DatabaseFacts
      | { what: "entry"; key: string; expected: string }
      | { what: "gone"; uniqueid: string }
      | ({ what: "beyond"; lastUid: number; seen: number } & SeenFacts),
  ) => {
    switch (facts.what) {
      case "entry": {
        const text = `seen state cannot be parsed: expected ${facts.expected}`;
        return { text, field: facts.key };
      }
      case "gone":
        return { ...INFO, text: "seen state of a mailbox that is gone", field: facts.uniqueid };
      case "beyond": {
        const { uniqueid: field, mailbox: other, lastUid: expected, seen: found } = facts;
        const text = "seen state goes beyond the last UID of the mailbox";
        return { text, field, other, expected, found };
      }
      default:
        return tellDatabase("seen database", facts);
    }
  },
  SE02: ({ what, uniqueid, mailbox }: SeenFacts & { what: keyof typeof SEEN_WORDS }) => ({
    ...{ text: SEEN_WORDS[what], field: uniqueid, other: mailbox },
  }),
  SU01: (
    facts:
      | DatabaseFacts
      | { what: keyof typeof SUBSCRIPTION_WORDS; found: string | number }
      | { what: "mailbox"; mailbox: string },
  ): Telling => {
    switch (facts.what) {
      case "mailbox":
        return { found: facts.mailbox };
      case "version":
      case "key":
        return { severity: "warning", text: SUBSCRIPTION_WORDS[facts.what], found: facts.found };
      default:
        return { severity: "warning", ...tellDatabase("subscription database", facts) };
    }
  },
  CO01: (
    facts:
      | { fault: Unreadable }
      | { malformed: string }
      | (Behind & { field: "highestmodseq" | "uidvalidity" }),
  ) => {
    if ("fault" in facts) return { text: `counters ${faultWords(facts.fault)}` };
    if ("malformed" in facts) return { text: `counters damaged: expected ${facts.malformed}` };
    return { ...facts, text: `counters are behind the ${facts.field} of a mailbox` };
  },
  CV01: (facts: DatabaseFacts | { what: "none" }) =>
    facts.what === "none"
      ? { text: "conversations are switched on, but there is no database" }
      : tellDatabase("conversations database", facts),
};

const ANNOTATION_WORDS = {
  AN01: (
    facts:
      | DatabaseFacts
      | { what: "of_messages"; file: AnnotationsFileFacts }
      | { what: "no_record" | "in_record"; entry: string }
      | { what: "gone"; entry: string; mailbox: string }
      | { what: "entry"; key: string; expected: string },
  ) => {
    switch (facts.what) {
      case "of_messages":
        return tellAnnotationsFile(facts.file);
      case "no_record":
        return { text: "annotation of a message that has no record", field: facts.entry };
      case "in_record": {
        const text = "annotation that the index record holds since a later version";
        return { ...INFO, text, field: facts.entry };
      }
      case "gone": {
        const text = "annotation of a mailbox that is gone";
        return { ...INFO, text, field: facts.entry, found: facts.mailbox };
      }
      case "entry": {
        const text = `annotation cannot be parsed: expected ${facts.expected}`;
        return { text, field: facts.key };
      }
      default:
        return tellDatabase("annotations.db", facts);
    }
  },
};

/** What can be wrong with cyrus.annotations of one mailbox; an offset is a byte of the file. */
export type AnnotationsFileFacts =
  | { fault: Unreadable }
  | { format: string }
  | { problem: string; offset: number | undefined };

function tellAnnotationsFile(file: AnnotationsFileFacts): Telling {
  if ("fault" in file) return { text: `cyrus.annotations ${faultWords(file.fault)}` };
  if ("format" in file) {
    const text = `cyrus.annotations is a ${file.format} file, which is not read here`;
    return { ...WARNING, text };
  }
  const { problem, offset: found } = file;
  return { text: found === undefined ? problem : `cyrus.annotations: ${problem}`, found };
}

export const SERVER_WORDS = {
  ...MAILBOX_LIST_WORDS,
  ...QUOTA_WORDS,
  ...USER_WORDS,
  ...ANNOTATION_WORDS,
};

function quotaFault(fault: NonNullable<QuotaReading["fault"]>): string {
  if (typeof fault === "string") return `cannot be read: ${fault}`;
  if (fault.state !== "foreign") return faultWords(fault);
  return `has the format ${fault.format}, which is not supported: not checked`;
}
