/** What Bobbin says where the system does not let it read a file of a Cyrus place. */
import { AppError } from "../../core/errors.ts";
import { type Refusal, refused } from "../../model/outcome.ts";

/** A file, and the errno that reading it gave. */
export interface ClosedFile {
  readonly path: string;
  readonly errno: string;
}

const REFUSED: ReadonlySet<string> = new Set(["EACCES", "EPERM"]);

/** The refusal where a file belongs to one mailbox or one message. Others may well be readable. */
export function accessRefusal(what: string, { path, errno }: ClosedFile): Refusal {
  const text = `Cannot read ${what}: ${path}: ${errno}`;
  const reason = REFUSED.has(errno) ? "permissionDenied" : "failed";
  return { ...refused(reason, text), cause: accessError(path, errno) };
}

/** The error where the whole place depends on the file. */
export function accessError(path: string, errno: string): AppError {
  const isRefused = REFUSED.has(errno);
  return new AppError(isRefused ? "refused" : "io", `Cannot read ${path}: ${errno}`, {
    context: { path, errno },
  });
}
