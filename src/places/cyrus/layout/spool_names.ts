/**
 * The name of a mailbox, where only its folder is known (spool-format 6.2, 6.3). In the layout by
 * uniqueid the name stands in cyrus.header alone. In the layout by name the path is right:
 * `a/user/ann/Sent` is user.ann.Sent, `domain/e/example.com/a/user/ann` is example.com!user.ann.
 * There Cyrus leaves the old name in cyrus.header when it renames or deletes a mailbox.
 */
import { latin1, utf8 } from "../../../core/bytes.ts";
import { parseName, useridOf } from "../../../model/names.ts";

export interface MailboxFolder {
  /** Path below the root of the place; "" for a place that is itself a mailbox. */
  readonly relative: string;
  /** Absolute path. */
  readonly folder: string;
  /** The name in cyrus.header; undefined where there is none. */
  readonly headerName: string | undefined;
}

/**
 * The internal name of a mailbox. Where nothing tells it, the name of the folder; in the layout by
 * uniqueid the path, which cannot be the name of any mailbox.
 */
export function nameOfMailbox({ relative, folder, headerName }: MailboxFolder): string {
  const parts = partsOf(folder);
  const last = parts.at(-1) ?? folder;
  if (isByUniqueid(parts)) return headerName ?? (relative || last);
  const below = relative === "" ? [last] : partsOf(relative);
  const byPath = relative === "" ? undefined : nameOfRelative(relative);
  if (headerName === undefined) return byPath ?? hashedUserName(parts) ?? last;
  if (headerName === byPath || endsWith(headerName, below)) return headerName;
  // Renamed since cyrus.header was written, or the place is only a part of a partition, or a copy.
  const owner = useridOf(headerName);
  const sameOwner = namesOfAbsolute(parts).find((name) => useridOf(name) === owner);
  if (owner !== undefined && sameOwner !== undefined) return sameOwner;
  return byPath ?? headerName;
}

/** The internal name of the mailbox at `relative`. Undefined for the root, and by uniqueid. */
export function nameOfRelative(relative: string): string | undefined {
  const parts = partsOf(relative);
  if (parts[0] === "uuid" || parts.length === 0) return undefined;
  if (parts[0] !== "domain") return join(withoutHash(parts));
  const [, ...rest] = parts;
  const [domain, ...below] = withoutHash(rest);
  if (domain === undefined || below.length === 0) return undefined;
  const name = join(withoutHash(below));
  return name === undefined ? undefined : `${domain}!${name}`;
}

/**
 * True where all below the folder of this name belongs to one owner. False for `b`, `user`,
 * `DELETED`: in these folders of a partition lies the mail of many.
 */
export function isOneOwners(name: string): boolean {
  const { owner } = parseName(name);
  return owner.kind === "user" || !/^(.|user|DELETED(\..*)?)$/.test(name.replace(/^.*!/, ""));
}

/** The uniqueid in the path of a folder, safe from damage. Undefined in the layout by name. */
export function uniqueidByPath(folder: string): string | undefined {
  const parts = partsOf(folder);
  return isByUniqueid(parts) ? parts.at(-1) : undefined;
}

/** The folders of a path. Names are latin1, one character a byte; paths are text. */
function partsOf(path: string): string[] {
  return latin1(utf8(path))
    .split("/")
    .filter((part) => part !== "");
}

/** `…/uuid/<c0>/<c1>/<uniqueid>`. */
function isByUniqueid(parts: readonly string[]): boolean {
  const [layout, first, second, uniqueid = ""] = parts.slice(-4);
  return layout === "uuid" && uniqueid.startsWith(`${first}${second}`);
}

/** The parts without hashimapspool's folder of one letter. A name of one letter has it twice. */
function withoutHash(parts: readonly string[]): readonly string[] {
  return parts.length > 1 && parts[0]?.length === 1 ? parts.slice(1) : parts;
}

function join(parts: readonly string[]): string | undefined {
  return parts.length === 0 ? undefined : parts.join(".");
}

function endsWith(name: string, folders: readonly string[]): boolean {
  const local = name.slice(name.indexOf("!") + 1);
  return `.${local}`.endsWith(`.${folders.join(".")}`);
}

/** The names of an absolute path: each part `user` or `DELETED` may be where a name begins. */
function namesOfAbsolute(parts: readonly string[]): string[] {
  const names: string[] = [];
  for (const [at, part] of parts.entries()) {
    if (part !== "user" && part !== "DELETED") continue;
    const name = parts.slice(at).join(".");
    const before = withoutLastHash(parts.slice(0, at));
    const domain = before.at(-1);
    if (domain !== undefined && before.lastIndexOf("domain", -2) >= before.length - 3) {
      names.push(`${domain}!${name}`);
    }
    names.push(name);
  }
  return names;
}

function withoutLastHash(parts: readonly string[]): readonly string[] {
  return parts.at(-1)?.length === 1 ? parts.slice(0, -1) : parts;
}

/** The name in `…/a/user/ann/Sent`: the letter before it shows that `user` is no other folder. */
function hashedUserName(parts: readonly string[]): string | undefined {
  const at = parts.findIndex(
    (part, index) =>
      part === "user" &&
      parts[index - 1]?.length === 1 &&
      parts[index + 1]?.toLowerCase().startsWith(parts[index - 1] ?? "") === true,
  );
  return at === -1 ? undefined : join(parts.slice(at));
}
