/** What it means when the system does not let a file of a Cyrus place be read. */
import { AppError } from "../../core/errors.ts";
import { type Refusal, refused } from "../../model/outcome.ts";

/** A file, and the name of the error that reading it gave. */
export interface ClosedFile {
  readonly path: string;
  readonly errno: string;
}

const REFUSED: ReadonlySet<string> = new Set(["EACCES", "EPERM"]);

/** For what belongs to one mailbox or one message: others may well be read. */
export function accessRefusal(what: string, { path, errno }: ClosedFile): Refusal {
  const text = `Cannot read ${what}: ${path}: ${errno}`;
  if (REFUSED.has(errno)) return refused("permissionDenied", text);
  return { ...refused("failed", text), cause: accessError(path, errno) };
}

/** For what the whole place rests on. */
export function accessError(path: string, errno: string): AppError {
  const isRefused = REFUSED.has(errno);
  return new AppError(isRefused ? "refused" : "io", `Cannot read ${path}: ${errno}`, {
    context: { path, errno },
    ...(isRefused && { hint: "Run it as the user whom the spool belongs to" }),
  });
}
