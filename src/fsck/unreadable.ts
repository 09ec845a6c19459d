/** Words for a file that could not be read. */
import type { Unreadable } from "../core/files.ts";

/** `is missing`, `is not a regular file`, `cannot be read: EACCES` …: the end of a sentence. */
export function describeUnreadable(file: Unreadable): string {
  switch (file.state) {
    case "missing":
      return "is missing";
    case "not_regular":
      return "is not a regular file";
    case "too_large":
      return `is too large: ${file.size} bytes`;
    case "unreadable":
      return `cannot be read: ${file.errno}`;
  }
}
