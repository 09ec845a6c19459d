/** SEEN, SIEVE, QUOTA and ANNOTATION, in answers and in APPLY (sync-protocol.md 4.1, 4.2). */
import type { Annotation } from "../../model/annotation.ts";
import {
  QUOTA_RESOURCES,
  type Quota,
  type QuotaResource,
  type SeenState,
  type SieveFile,
} from "../../model/mailbox.ts";
import {
  dateOf,
  FieldError,
  guidOf,
  latin1Of,
  lookUp,
  ownBytesOf,
  u32Of,
  u64Of,
} from "../dlist/access.ts";
import {
  type DlistKvlist,
  type DlistValue,
  dlistKvlist,
  dlistLatin1,
  dlistNumber,
  dlistString,
} from "../dlist/value.ts";

type Pairs = readonly (readonly [string, DlistValue | undefined])[];

/** Parses SEEN. Like all `parse` functions of this file it throws FieldError. */
export function parseSeen(kvlist: DlistKvlist): SeenState {
  return {
    uniqueid: latin1Of(lookUp(kvlist, "UNIQUEID"), "UNIQUEID"),
    lastRead: dateOf(lookUp(kvlist, "LASTREAD"), "LASTREAD"),
    lastUid: u32Of(lookUp(kvlist, "LASTUID"), "LASTUID"),
    lastChange: dateOf(lookUp(kvlist, "LASTCHANGE"), "LASTCHANGE"),
    seenUids: latin1Of(lookUp(kvlist, "SEENUIDS"), "SEENUIDS"),
  };
}

/** Prints SEEN; `userid` is present in APPLY only. */
export function printSeen(seen: SeenState, userid?: string): DlistKvlist {
  return dlistKvlist([
    ["USERID", userid === undefined ? undefined : dlistLatin1(userid)],
    ["UNIQUEID", dlistLatin1(seen.uniqueid)],
    ["LASTREAD", dlistNumber(seen.lastRead)],
    ["LASTUID", dlistNumber(seen.lastUid)],
    ["LASTCHANGE", dlistNumber(seen.lastChange)],
    ["SEENUIDS", dlistLatin1(seen.seenUids)],
  ]);
}

/** A script of a user's, by its file: `x.script`, or `x.bc` for its bytecode. */
export interface ScriptName {
  readonly userid: string;
  readonly filename: string;
}

/** Parses the user and the file name of a script. Throws FieldError. */
export function parseScriptName(kvlist: DlistKvlist): ScriptName {
  return {
    userid: latin1Of(lookUp(kvlist, "USERID"), "USERID"),
    filename: latin1Of(lookUp(kvlist, "FILENAME"), "FILENAME"),
  };
}

/** The inverse of `parseScriptName`. */
export function scriptName({ userid, filename }: ScriptName): Pairs {
  return [
    ["USERID", dlistLatin1(userid)],
    ["FILENAME", dlistLatin1(filename)],
  ];
}

/** Parses what a user's script is but for its content. Throws FieldError. */
export function parseSieveFile(kvlist: DlistKvlist): SieveFile {
  const guid = lookUp(kvlist, "GUID");
  return {
    filename: latin1Of(lookUp(kvlist, "FILENAME"), "FILENAME"),
    lastUpdate: dateOf(lookUp(kvlist, "LAST_UPDATE"), "LAST_UPDATE"),
    ...(guid === undefined ? {} : { guid: guidOf(guid, "GUID") }),
    isActive: u32Of(lookUp(kvlist, "ISACTIVE"), "ISACTIVE") !== 0,
  };
}

/** The inverse of `parseSieveFile`. */
export function printSieveFile(file: SieveFile): DlistKvlist {
  return dlistKvlist([
    ["FILENAME", dlistLatin1(file.filename)],
    ["LAST_UPDATE", dlistNumber(file.lastUpdate)],
    ["GUID", file.guid === undefined ? undefined : dlistLatin1(file.guid)],
    ["ISACTIVE", dlistNumber(file.isActive ? 1 : 0)],
  ]);
}

/** The older names of two resources. Cyrus 3.10 renamed them and has printed both names since. */
const OLD_NAMES: Partial<Readonly<Record<QuotaResource, string>>> = {
  "ANNOTATION-STORAGE": "X-ANNOTATION-STORAGE",
  MAILBOX: "X-NUM-FOLDERS",
};

const UNLIMITED = 0xffff_ffff;
/** Numbers from here on are negative ones, by which unlimited is meant too. */
const NEGATIVE = 1n << 63n;

/** Parses a quota. In 2.4 LIMIT is that of STORAGE, and unlimited is 2^32-1 or 2^64-1. */
export function parseQuota(kvlist: DlistKvlist): Quota {
  const limits: Partial<Record<QuotaResource, number>> = {};
  for (const resource of QUOTA_RESOURCES) {
    const old = OLD_NAMES[resource];
    const value = lookUp(kvlist, resource) ?? (old === undefined ? undefined : lookUp(kvlist, old));
    if (value !== undefined) limits[resource] = limitOf(value, resource);
  }
  const limit = lookUp(kvlist, "LIMIT");
  if (limits.STORAGE === undefined && limit !== undefined) {
    const legacy = u64Of(limit, "LIMIT");
    const isLimit = legacy !== BigInt(UNLIMITED) && legacy < NEGATIVE;
    if (isLimit) limits.STORAGE = limitOf(limit, "LIMIT");
  }
  const modseq = lookUp(kvlist, "MODSEQ");
  return {
    root: latin1Of(lookUp(kvlist, "ROOT"), "ROOT"),
    limits,
    ...(modseq === undefined ? {} : { modseq: u64Of(modseq, "MODSEQ") }),
  };
}

function limitOf(value: DlistValue, key: string): number {
  const limit = Number(u64Of(value, key));
  if (!Number.isSafeInteger(limit)) throw new FieldError(key, "a number below 2^53");
  return limit;
}

/** Prints a quota with the names of 3.8 and before, or with both that 3.10 and later print. */
export function printQuota(quota: Quota, names: "old" | "both" = "both"): DlistKvlist {
  const storage = quota.limits.STORAGE;
  const pairs: [string, DlistValue][] = [
    ["ROOT", dlistLatin1(quota.root)],
    ["LIMIT", dlistNumber(Math.min(storage ?? UNLIMITED, UNLIMITED))],
  ];
  for (const resource of QUOTA_RESOURCES) {
    const limit = quota.limits[resource];
    if (limit === undefined) continue;
    const old = OLD_NAMES[resource];
    if (old === undefined || names === "both") pairs.push([resource, dlistNumber(limit)]);
    if (old !== undefined) pairs.push([old, dlistNumber(limit)]);
  }
  if (quota.modseq !== undefined) pairs.push(["MODSEQ", dlistNumber(quota.modseq)]);
  return dlistKvlist(pairs);
}

/** One annotation of a mailbox, or of the server where the name is empty. */
export interface NamedAnnotation {
  /** Internal name of the mailbox. */
  readonly name: string;
  readonly annotation: Annotation & { readonly userid: string };
}

/** Parses the annotation of a mailbox or of the server. Throws FieldError. */
export function parseNamedAnnotation(kvlist: DlistKvlist): NamedAnnotation {
  return {
    name: latin1Of(lookUp(kvlist, "MBOXNAME"), "MBOXNAME"),
    annotation: {
      entry: latin1Of(lookUp(kvlist, "ENTRY"), "ENTRY"),
      userid: latin1Of(lookUp(kvlist, "USERID"), "USERID"),
      modseq: 0n,
      value: ownBytesOf(lookUp(kvlist, "VALUE"), "VALUE"),
    },
  };
}

/** The inverse of `parseNamedAnnotation`, for the mailbox `name`. */
export function printNamedAnnotation(
  name: string,
  annotation: Pick<Annotation, "entry" | "userid" | "value">,
): DlistKvlist {
  return dlistKvlist([
    ...annotationAddress({ ...annotation, name }),
    ["VALUE", dlistString(annotation.value)],
  ]);
}

/** What identifies an annotation, which is all that UNANNOTATION holds. */
export function annotationAddress(
  address: Pick<Annotation, "entry" | "userid"> & { readonly name: string },
): Pairs {
  return [
    ["MBOXNAME", dlistLatin1(address.name)],
    ["ENTRY", dlistLatin1(address.entry)],
    ["USERID", dlistLatin1(address.userid ?? "")],
  ];
}
