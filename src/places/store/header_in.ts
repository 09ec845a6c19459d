/** The cyrus.header of a mailbox folder, by which a mailbox is known without the catalogue. */
import { join } from "node:path";
import { AppError, FormatError } from "../../core/errors.ts";
import { type HeaderFile, parseHeaderFile } from "../../formats/cyrus/header_file.ts";
import { readWhole, statOf } from "../../storage/disk.ts";

const HEADER_BYTES_MAX = 16 * 1024 * 1024;

/** The header of the mailbox in `folder`; undefined for no mailbox, or why it cannot be used. */
export function headerIn(folder: string): HeaderFile | string | undefined {
  if (statOf(folder)?.isDirectory() !== true) return undefined;
  if (statOf(join(folder, "cyrus.index")) === undefined) return undefined;
  try {
    const bytes = readWhole(join(folder, "cyrus.header"), HEADER_BYTES_MAX);
    return bytes === undefined ? "it has no cyrus.header" : parseHeaderFile(bytes);
  } catch (error) {
    if (error instanceof FormatError || error instanceof AppError) return error.message;
    throw error;
  }
}
