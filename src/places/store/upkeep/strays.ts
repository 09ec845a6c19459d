import { basename, join } from "node:path";
import { pushAll } from "../../../core/lists.ts";
import { entriesIn, statOf } from "../../../storage/disk.ts";
import { firstLetter } from "../../../storage/folder_name.ts";
import {
  ARRIVING_FOLDER,
  CATALOGUE_FILE,
  POOL_FOLDER,
  REGISTRY_FILE,
  RESERVE_FILE,
  SETTINGS_FILE,
  STAGING_FOLDER,
  TRASH_FOLDER,
} from "../layout.ts";

/** What may lie in a folder: the first row whose name fits an entry says what the entry must be. */
interface Row {
  /** Gets the name of the entry and that of the folder it lies in. */
  readonly fits: (name: string, parent: string) => boolean;
  readonly kind: "file" | "folder";
  /** A link to a folder will do: an administrator may keep users on several disks. */
  readonly mayBeLink?: boolean;
  readonly inside?: Shape;
}

type Shape = readonly Row[];

const ANY_FILE: Row = { fits: () => true, kind: "file" };
const ANY_FOLDER: Row = { fits: () => true, kind: "folder" };

/** The name of a file or folder, alone or with one of some endings. */
function called(name: string, endings: readonly string[] = []): Row["fits"] {
  return (found) => found === name || endings.some((ending) => found === name + ending);
}

const OF_SQLITE = ["-wal", "-shm", "-journal"];

function storeShape(hash: boolean): Shape {
  const letters: Shape = [
    {
      fits: (name) => /^[a-z]$/.test(name),
      kind: "folder",
      mayBeLink: true,
      inside: [{ fits: (name, letter) => firstLetter(name) === letter, kind: "folder" }],
    },
  ];
  const owners = {
    kind: "folder",
    mayBeLink: true,
    inside: hash ? letters : [ANY_FOLDER],
  } as const;
  return [
    { fits: called(SETTINGS_FILE), kind: "file" },
    { fits: called(RESERVE_FILE), kind: "file" },
    { fits: called(REGISTRY_FILE, OF_SQLITE), kind: "file" },
    { fits: (name) => name.startsWith("uniqueids.damaged-"), kind: "file" },
    { fits: called("user"), ...owners },
    { fits: called("shared"), ...owners },
    { fits: called(STAGING_FOLDER), kind: "folder", inside: [ANY_FOLDER] },
    { fits: called("lost+found"), kind: "folder" },
  ];
}

const TRASH_SHAPE: Shape = [{ ...ANY_FOLDER, inside: [ANY_FOLDER] }];

const POOL_SHAPE: Shape = [
  { fits: (name) => /^[0-9a-f]{2}$/.test(name), kind: "folder", inside: [ANY_FILE] },
];

const OWNER_SHAPE: Shape = [
  { fits: called(CATALOGUE_FILE, OF_SQLITE), kind: "file" },
  { fits: (name) => name.startsWith(".catalogue.damaged-"), kind: "file" },
  { fits: called(POOL_FOLDER), kind: "folder", inside: POOL_SHAPE },
  { fits: called(TRASH_FOLDER), kind: "folder", inside: TRASH_SHAPE },
  { fits: called(ARRIVING_FOLDER), kind: "folder", inside: [ANY_FOLDER] },
  // Mailboxes, and folders that no mailbox names: fsck has codes of its own for those.
  { fits: (name) => !name.startsWith("."), kind: "folder" },
];

/** The paths of the strays outside the folders of owners. */
export function straysOfStore(root: string, { hash }: { readonly hash: boolean }): string[] {
  return straysIn(root, storeShape(hash));
}

/** The paths of the strays in an owner's folder. */
export function straysOfOwner(folder: string): string[] {
  return straysIn(folder, OWNER_SHAPE);
}

function straysIn(folder: string, shape: Shape): string[] {
  const strays: string[] = [];
  for (const entry of entriesIn(folder)) {
    const path = join(folder, entry.name);
    const row = shape.find(({ fits }) => fits(entry.name, basename(folder)));
    const isRight = row?.kind === "file" ? entry.isFile() : entry.isDirectory();
    if (row === undefined || !(isRight || isKind(path, row))) strays.push(path);
    else if (row.inside !== undefined) pushAll(strays, straysIn(path, row.inside));
  }
  return strays;
}

/** Asks with a system call: a listing does not always know the kind, and does not follow links. */
function isKind(path: string, { kind, mayBeLink = false }: Row): boolean {
  const stat = statOf(path, { followsLinks: mayBeLink });
  if (stat === undefined) return !mayBeLink; // gone meanwhile; a link that leads nowhere is a stray
  return kind === "file" ? stat.isFile() : stat.isDirectory();
}
