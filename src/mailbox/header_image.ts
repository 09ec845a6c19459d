/** The cyrus.header of one mailbox: what it says, and what a transaction changes in it. */
import { AppError } from "../core/errors.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import { type HeaderFile, parseHeaderFile, printHeaderFile } from "../formats/cyrus/header_file.ts";
import { crc32 } from "../hash/crc32.ts";
import { type UserFlagCrcs, userFlagCrcs } from "./sums.ts";

const { headerFileBytes } = DEFAULT_LIMITS;

export class HeaderImage {
  /** CRC-32 of the file as it is: the index holds the same, or 0 where it was not recorded. */
  readonly fileCrc: number;
  #file: HeaderFile;
  #isChanged = false;
  #flagCrcs: UserFlagCrcs | undefined;

  /** A FormatError says that `bytes` are no cyrus.header. */
  constructor(bytes: Uint8Array) {
    this.#file = parseHeaderFile(bytes);
    this.fileCrc = crc32(bytes);
  }

  /** What the file is to say. */
  get file(): HeaderFile {
    return this.#file;
  }

  /** The checksums of the user flags, for the sums of the mailbox. */
  get flagCrcs(): UserFlagCrcs {
    this.#flagCrcs ??= userFlagCrcs(this.#file.userFlags);
    return this.#flagCrcs;
  }

  /** True if this is the file whose CRC the index holds as `recorded`. */
  fits(recorded: number): boolean {
    return recorded === 0 || recorded === this.fileCrc;
  }

  /** Changes what the file is to say. */
  set(change: Partial<HeaderFile>): void {
    this.#file = { ...this.#file, ...change };
    this.#isChanged = true;
    if (change.userFlags !== undefined) this.#flagCrcs = undefined;
  }

  /** The slot of a user flag, a new one for a new name. Refuses more flags than `slots`. */
  flagSlot(name: string, slots: number): number {
    const flags = this.#file.userFlags;
    const wanted = name.toLowerCase();
    const known = flags.findIndex((flag) => flag?.toLowerCase() === wanted);
    if (known !== -1) return known;
    const free = flags.indexOf(undefined);
    const slot = free === -1 ? flags.length : free;
    if (slot >= slots) {
      const { uniqueid } = this.#file;
      throw new AppError(
        "refused",
        `Cannot add the flag ${name} to mailbox ${uniqueid}: it has ${slots}`,
        {
          context: { uniqueid: uniqueid ?? "", flag: name },
          hint: "A mailbox has room for 128 user flags.",
        },
      );
    }
    const next = [...flags];
    next[slot] = name;
    this.set({ userFlags: next });
    return slot;
  }

  /**
   * The file as it is to be, or undefined where nothing changed and `isNew` is false. Refuses a
   * file that is too large to be read again.
   */
  print(isNew: boolean): Uint8Array | undefined {
    if (!this.#isChanged && !isNew) return undefined;
    const bytes = printHeaderFile(this.#file);
    if (bytes.length <= headerFileBytes) return bytes;
    const { name } = this.#file;
    const text = `Mailbox ${name}: cyrus.header would have ${bytes.length} bytes of flags and ACL`;
    throw new AppError("refused", `${text}, over ${headerFileBytes}`);
  }
}
