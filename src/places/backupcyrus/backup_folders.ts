/** The folders of users as a backupcyrusd tells them: which there are, and their raw files. */
import { AppError, FormatError } from "../../core/errors.ts";
import { DEFAULT_LIMITS } from "../../core/limits.ts";
import { parseMailboxAnnotations } from "../../formats/backup/mailbox_annotations.ts";
import { internalOfLink } from "../../formats/backup/mailbox_link.ts";
import { parseHeaderFile } from "../../formats/cyrus/header_file.ts";
import { beginSha1, type Sha1 } from "../../hash/sha1.ts";
import type { Annotation } from "../../model/annotation.ts";
import { isUniqueid } from "../../model/mailbox.ts";
import { externalName } from "../../model/names.ts";
import { type Outcome, ok, refused } from "../../model/outcome.ts";
import type { MailboxReading } from "../place.ts";
import { readingOfRaw } from "../raw_mailbox.ts";
import type { BackupLink } from "./backup_link.ts";
import type { FileTaker } from "./wire_dialogue.ts";

/** A folder by the server's name of it, which no client can make. */
export interface ServerFolder {
  readonly userid: string;
  readonly folder: string;
  readonly uniqueid: string;
}

/** A folder with its internal name, and what was read of it. */
export interface FolderReading {
  readonly name: string;
  readonly where: ServerFolder;
  readonly reading: Outcome<MailboxReading>;
}

const { answerBytes } = DEFAULT_LIMITS;

/** The bytes of one answer at most, by file: all of it is held in memory. */
const FILE_LIMITS: Readonly<Record<string, number>> = {
  ...{ header: DEFAULT_LIMITS.headerFileBytes, index: answerBytes, annotations: answerBytes },
  ...{
    mailbox_annotations: DEFAULT_LIMITS.answerLiteralBytes,
    seen: answerBytes,
    sub: answerBytes,
  },
};
const FOLDER_FILES = ["header", "index", "annotations", "mailbox_annotations"] as const;

/** Files that are held in memory. `broken` are those whose SHA-1 is not what the server says. */
class HeldFiles implements FileTaker {
  readonly files = new Map<string, Uint8Array>();
  readonly broken: string[] = [];
  #name = "";
  #parts: Uint8Array[] = [];
  #hash: Sha1 = beginSha1();

  limitOf(name: string): number {
    return FILE_LIMITS[name] ?? -1;
  }

  start({ name }: { readonly name: string }): void {
    this.#name = name;
    this.#parts = [];
    this.#hash = beginSha1();
  }

  data(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#parts.push(bytes);
  }

  end(sha1: string): void {
    this.files.set(this.#name, Buffer.concat(this.#parts));
    if (this.#hash.digest() !== sha1) this.broken.push(this.#name);
  }
}

/** The files `seen` and `sub` of a user, where they are there. */
export async function readUserFiles(
  link: BackupLink,
  userid: string,
): Promise<Outcome<ReadonlyMap<string, Uint8Array>>> {
  const held = new HeldFiles();
  const { refusal } = await link.ask("META", [userid, "seen", "sub"], held);
  if (refusal !== undefined) return refused("failed", `${userid}: the server says ${refusal}`);
  const [broken] = held.broken;
  if (broken === undefined) return ok(held.files);
  return refused("damaged", `${userid}: ${broken} is not what the server says it is`);
}

/** The server's folders of a user, deleted ones too. */
export async function listFolders(
  link: BackupLink,
  userid: string,
): Promise<Outcome<readonly ServerFolder[]>> {
  try {
    const { refusal, lines } = await link.ask("FMULTISTATUS", [userid]);
    if (refusal !== undefined) return refused("failed", `${userid}: the server says ${refusal}`);
    const folders = lines
      .filter(([kind]) => kind === "FOLDER")
      .map(([, folder = "", uniqueid = ""]) => ({ userid, folder, uniqueid }));
    const wrong = folders.find(({ uniqueid }) => !isUniqueid(uniqueid));
    if (wrong === undefined) return ok(folders);
    const text = `${wrong.folder} of ${userid} has the uniqueid ${wrong.uniqueid.slice(0, 100)}`;
    return refused("damaged", text);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "unreachable") throw error;
    const text = `${userid}: the server goes each time it is asked for the user's folders`;
    return { ...refused("failed", `${text} (${error.message})`), cause: error, hint: DEATH_HINT };
  }
}

const DEATH_HINT =
  "backupcyrusd dies of a user with deleted folders where altnamespace is on: give it an " +
  "imapd.conf of its own with `altnamespace: off`, or use sync:// or the spool";

/** Reads a folder with all its files; undefined where it is not there under that name any more. */
export async function readFolder(
  link: BackupLink,
  { userid, folder, uniqueid: listed }: ServerFolder,
): Promise<FolderReading | undefined> {
  const held = new HeldFiles();
  const { refusal, done } = await link.ask("FMETA", [userid, folder, ...FOLDER_FILES], held);
  if (saysNoFolder(refusal)) return undefined;
  const { files, broken } = held;
  const name = nameIn(files.get("header")) ?? internalOfLink(folder, { kind: "user", userid });
  if (refusal !== undefined) {
    const text = `Cannot read ${externalName(name)}: the server says ${refusal}`;
    return { name, where: { userid, folder, uniqueid: listed }, reading: refused("failed", text) };
  }
  const [uniqueid = ""] = done;
  const where = { userid, folder, uniqueid };
  const [flaw] = broken;
  if (flaw !== undefined) {
    const text = `Cannot read ${externalName(name)}: ${flaw} is not what the server says it is`;
    return { name, where, reading: refused("damaged", text) };
  }
  const annotations = annotationsIn(name, files.get("mailbox_annotations"));
  if (annotations.kind === "refused") return { name, where, reading: annotations };
  const [header, index, ofMessages] = FOLDER_FILES.map((file) => files.get(file));
  const raw = { header, index, annotations: ofMessages };
  const facts = { uniqueid, annotations: annotations.value };
  return { name, where, reading: readingOfRaw(name, raw, facts) };
}

/** True where a request is refused because there is no such folder. */
export function saysNoFolder(refusal: string | undefined): boolean {
  return /^no such folder\b/.test(refusal ?? "");
}

/** The internal name of a folder, by its header alone. Undefined where it is not there any more. */
export async function readName(
  link: BackupLink,
  { userid, folder }: ServerFolder,
): Promise<string | undefined> {
  const held = new HeldFiles();
  const { refusal } = await link.ask("FMETA", [userid, folder, "header"], held);
  if (saysNoFolder(refusal)) return undefined;
  return nameIn(held.files.get("header")) ?? internalOfLink(folder, { kind: "user", userid });
}

function nameIn(header: Uint8Array | undefined): string | undefined {
  try {
    return header && (parseHeaderFile(header).name ?? undefined);
  } catch (error) {
    if (error instanceof FormatError) return undefined; // whoever reads the mailbox is told
    throw error;
  }
}

function annotationsIn(name: string, bytes: Uint8Array | undefined): Outcome<Annotation[]> {
  try {
    return ok(bytes === undefined ? [] : parseMailboxAnnotations(bytes));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return refused(
      "damaged",
      `Cannot read the annotations of ${externalName(name)}: ${error.message}`,
    );
  }
}
