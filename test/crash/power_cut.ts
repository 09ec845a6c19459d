/**
 * A file system that forgets. It takes the events of a trace one by one and knows of each whether a
 * sync has promised it; a power cut after any event then gives the folder as it might be found:
 * what was promised, and of the rest nothing, only the names, or any part.
 *
 * The model is stricter than ext4 or xfs: a file's sync promises its bytes but not its name, a
 * folder's sync its names, and names that were not synced come and go in any order.
 */
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomOf } from "../support/spool/random.ts";
import type { FileEvent } from "./trace.ts";

/** What the disk keeps of the changes that no sync has promised. */
export type Forgets =
  | { readonly kind: "all" }
  /** Names are kept and bytes are not: files come back empty, or as they were. */
  | { readonly kind: "bytes" }
  /** Each change by the toss of a coin. */
  | { readonly kind: "some"; readonly seed: number };

type Node = FileNode | FolderNode;
interface FileNode {
  readonly kind: "file";
  readonly id: number;
  bytes: Buffer;
}
interface FolderNode {
  readonly kind: "folder";
  readonly id: number;
  readonly names: Map<string, Node>;
}

/** A change as it concerns nodes, not paths: it can be done to any copy of the tree. */
interface Change {
  /** The nodes one of which must be synced for the change to be durable. */
  readonly of: readonly number[];
  readonly isName: boolean;
  durable: boolean;
  readonly apply: (disk: Disk) => void;
}

/** All nodes by number, reachable or not. */
type Disk = Map<number, Node>;

const ROOT = 0;

export class PowerCut {
  readonly #root: string;
  readonly #base: Disk = new Map();
  readonly #now: Disk;
  readonly #changes: Change[] = [];
  #nodes = 1;

  /** Begins with `folder` as it lies on disk now, all of it durable; events call it `root`. */
  constructor(folder: string, root: string) {
    this.#root = root;
    this.#base.set(ROOT, this.#load(folder, new Map(), ROOT));
    this.#now = copyDisk(this.#base);
  }

  #load(path: string, inodes: Map<number, Node>, id: number): FolderNode {
    const folder: FolderNode = { kind: "folder", id, names: new Map() };
    for (const name of readdirSync(path)) {
      const child = join(path, name);
      const stat = lstatSync(child);
      const known = inodes.get(stat.ino);
      if (known !== undefined) {
        folder.names.set(name, known);
        continue;
      }
      const number = this.#nodes++;
      const node: Node = stat.isDirectory()
        ? this.#load(child, inodes, number)
        : { kind: "file", id: number, bytes: readFileSync(child) };
      inodes.set(stat.ino, node);
      this.#base.set(number, node);
      folder.names.set(name, node);
    }
    return folder;
  }

  /** Takes one more event. */
  take(event: FileEvent): void {
    switch (event.kind) {
      case "said":
        return;
      case "sync_all":
        for (const change of this.#changes) change.durable = true;
        return;
      case "sync": {
        const { id } = this.#node(event.path);
        for (const change of this.#changes) if (change.of.includes(id)) change.durable = true;
        return;
      }
      case "create":
        this.#create(event.path, event.truncate);
        return;
      case "mkdir":
        this.#make(event.path, (id) => ({ kind: "folder", id, names: new Map() }));
        return;
      case "write":
        this.#write(event.path, event.offset, event.bytes);
        return;
      case "copy":
        this.#write(event.path, 0, this.#file(event.from).bytes.subarray(0, event.length));
        return;
      case "truncate": {
        const { id } = this.#file(event.path);
        this.#change([id], false, (disk) => resize(fileOf(disk, id), event.size));
        return;
      }
      case "link": {
        const { id } = this.#node(event.from);
        this.#name(event.path, id);
        return;
      }
      case "rename": {
        const { id } = this.#node(event.from);
        const from = this.#folder(dirname(event.from)).id;
        const to = this.#folder(dirname(event.path)).id;
        const [oldName, newName] = [event.from, event.path].map((path) =>
          path.slice(path.lastIndexOf("/") + 1),
        );
        this.#change([from, to], true, (disk) => {
          const node = disk.get(id);
          if (node !== undefined) folderOf(disk, to).names.set(newName ?? "", node);
          folderOf(disk, from).names.delete(oldName ?? "");
        });
        return;
      }
      case "unlink": {
        const folder = this.#folder(dirname(event.path)).id;
        const name = event.path.slice(event.path.lastIndexOf("/") + 1);
        this.#change([folder], true, (disk) => folderOf(disk, folder).names.delete(name));
        return;
      }
    }
  }

  #create(path: string, truncate: boolean): void {
    const known = this.#folder(dirname(path)).names.get(path.slice(path.lastIndexOf("/") + 1));
    if (known === undefined)
      this.#make(path, (id) => ({ kind: "file", id, bytes: Buffer.alloc(0) }));
    else if (truncate) this.#change([known.id], false, (disk) => resize(fileOf(disk, known.id), 0));
  }

  /** A new node always exists; whether anything names it is what a power cut decides. */
  #make(path: string, node: (id: number) => Node): void {
    const id = this.#nodes++;
    this.#base.set(id, node(id));
    this.#now.set(id, node(id));
    this.#name(path, id);
  }

  #name(path: string, id: number): void {
    const folder = this.#folder(dirname(path)).id;
    const name = path.slice(path.lastIndexOf("/") + 1);
    this.#change([folder], true, (disk) => {
      const node = disk.get(id);
      if (node !== undefined) folderOf(disk, folder).names.set(name, node);
    });
  }

  #write(path: string, offset: number, bytes: Buffer): void {
    const { id } = this.#file(path);
    this.#change([id], false, (disk) => {
      const file = fileOf(disk, id);
      resize(file, Math.max(file.bytes.length, offset + bytes.length));
      bytes.copy(file.bytes, offset);
    });
  }

  #change(of: readonly number[], isName: boolean, apply: (disk: Disk) => void): void {
    apply(this.#now);
    this.#changes.push({ of, isName, durable: false, apply });
  }

  #node(path: string): Node {
    let node = this.#now.get(ROOT);
    const names = path === this.#root ? [] : path.slice(this.#root.length + 1).split("/");
    for (const name of names) node = node?.kind === "folder" ? node.names.get(name) : undefined;
    if (node === undefined) throw new Error(`the trace names ${path}, which nothing made`);
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#node(path);
    if (node.kind !== "file") throw new Error(`${path} is no file`);
    return node;
  }

  #folder(path: string): FolderNode {
    const node = this.#node(path);
    if (node.kind !== "folder") throw new Error(`${path} is no folder`);
    return node;
  }

  /** Changes taken that no sync has promised yet. */
  get unsynced(): number {
    return this.#changes.filter((change) => !change.durable).length;
  }

  /**
   * Writes to `target` what is found after a power cut now, or, without `forgets`, after a mere
   * kill.
   */
  leave(target: string, forgets?: Forgets): void {
    const disk = copyDisk(this.#base);
    const random = forgets?.kind === "some" ? randomOf(forgets.seed) : undefined;
    for (const change of this.#changes) {
      const kept =
        change.durable ||
        forgets === undefined ||
        (forgets.kind === "bytes" && change.isName) ||
        random?.below(2) === 1;
      if (kept) change.apply(disk);
    }
    save(folderOf(disk, ROOT), target, new Map());
  }
}

function copyDisk(disk: Disk): Disk {
  const copy: Disk = new Map();
  for (const [id, node] of disk) {
    copy.set(
      id,
      node.kind === "file"
        ? { ...node, bytes: Buffer.from(node.bytes) }
        : { ...node, names: new Map() },
    );
  }
  for (const [id, node] of disk) {
    if (node.kind === "file") continue;
    for (const [name, child] of node.names) {
      const other = copy.get(child.id);
      if (other !== undefined) folderOf(copy, id).names.set(name, other);
    }
  }
  return copy;
}

function fileOf(disk: Disk, id: number): FileNode {
  const node = disk.get(id);
  if (node?.kind !== "file") throw new Error(`node ${id} is no file`);
  return node;
}

function folderOf(disk: Disk, id: number): FolderNode {
  const node = disk.get(id);
  if (node?.kind !== "folder") throw new Error(`node ${id} is no folder`);
  return node;
}

function resize(file: FileNode, size: number): void {
  const bytes = Buffer.alloc(size);
  file.bytes.copy(bytes, 0, 0, Math.min(size, file.bytes.length));
  file.bytes = bytes;
}

function save(folder: FolderNode, path: string, written: Map<number, string>): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const [name, node] of folder.names) {
    const child = join(path, name);
    const first = written.get(node.id);
    if (node.kind === "folder") save(node, child, written);
    else if (first !== undefined) linkSync(first, child);
    else {
      writeFileSync(child, node.bytes, { mode: 0o600 });
      written.set(node.id, child);
    }
  }
}
