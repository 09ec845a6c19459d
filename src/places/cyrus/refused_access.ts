/** What Bobbin says where the system does not let it read a file of a Cyrus place. */
import { AppError } from "../../core/errors.ts";
import { type Refusal, refused } from "../../model/outcome.ts";

/** A file, and the errno that reading it gave. */
export interface ClosedFile {
  readonly path: string;
  readonly errno: string;
}

/** The refusal where a file belongs to one mailbox or one message. Others may well be readable. */
export function accessRefusal(what: string, { path, errno }: ClosedFile): Refusal {
  const text = `Cannot read ${what}: ${path}: ${errno}`;
  const cause = accessError(path, errno);
  return { ...refused(cause.code === "refused" ? "permissionDenied" : "failed", text), cause };
}

/** The error where the whole place depends on the file. */
export function accessError(path: string, errno: string): AppError {
  return new AppError("io", `Cannot read ${path}: ${errno}`, { context: { path, errno } });
}
