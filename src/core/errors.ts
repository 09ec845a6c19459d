/**
 * The errors Bobbin throws. There are three kinds of trouble and only one of them is an `AppError`:
 * damage in somebody's data is a finding (a value, never thrown), a bug is a failed `assert`, and
 * everything an administrator can act on is an `AppError`.
 */

/** The kinds of errors, named after sysexits; `cli/exit.ts` gives each its exit code. */
export type ErrorCode =
  | "usage"
  | "bad_data"
  | "not_found"
  | "unreachable"
  | "cannot_create"
  | "io"
  | "busy"
  | "protocol"
  | "refused"
  | "config";

export interface AppErrorOptions {
  readonly cause?: unknown;
  /** Facts for logs and `--json`: user, mailbox, uid, path, value. */
  readonly context?: Readonly<Record<string, string | number | bigint>>;
  /** What to try next, as a sentence; where none is given, what helps against the errno behind. */
  readonly hint?: string;
}

/** What the rights of a process end with. */
export const PERMISSION_HINT = "Run it as the user who owns it, or as root";

/** What a failed system call says, in words. */
const WORDS_OF_ERRNO: Readonly<Record<string, string>> = {
  ENOENT: "nothing is there",
  EACCES: "this user may not do it",
  EPERM: "this user may not do it",
  EROFS: "mounted read-only",
  EEXIST: "it is there already",
  ENOTEMPTY: "the folder is not empty",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of the disk is used up",
  EFBIG: "larger than a file may be",
  EMFILE: "too many files are open in this process",
  ENFILE: "too many files are open on this machine",
  EMLINK: "the file has too many links",
  EXDEV: "on another file system",
  EIO: "the disk fails",
  EBUSY: "it is in use",
  ELOOP: "a symbolic link where none may be, or too many",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is no folder",
  ENAMETOOLONG: "the name is too long",
  EPIPE: "the reader is gone",
};

/** `ENOSPC` as `ENOSPC (the disk is full)`; what has no words, as it is. */
export function errnoText(errno: string): string {
  const words = WORDS_OF_ERRNO[errno];
  return words === undefined ? errno : `${errno} (${words})`;
}

const FULL = "Make room on the disk and run it again";
const FILES = "Raise the limit of open files: ulimit -n, or LimitNOFILE= under systemd";

/** What helps against a failed system call, whatever it was for. */
const HINT_OF_ERRNO: Readonly<Record<string, string>> = {
  ...{ EACCES: PERMISSION_HINT, EPERM: PERMISSION_HINT },
  EROFS: "The file system is mounted read-only: give another folder, or mount it anew",
  ...{ ENOSPC: FULL, EDQUOT: FULL },
  ...{ EMFILE: FILES, ENFILE: FILES },
  EIO: "The disk or its controller fails: look at the system's log before anything else",
  ELOOP: "Its symbolic links lead in a circle, or a link stands where none may",
  EISDIR: "A file is wanted there, and it is a folder",
  ENOTDIR: "A part of the path is a file, and a folder is wanted there",
  ENAMETOOLONG: "The name is longer than the file system takes",
};

/**
 * An error that an administrator can act on. The message names user, mailbox, uid and value. What
 * fails as `io` or `config` for want of a right is `refused`, wherever it is thrown: another user
 * may do it. An errno at the end of the message gets its words.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly context: Readonly<Record<string, string | number | bigint>>;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    const text = message.replace(/: (E[A-Z]+)$/, (_, errno: string) => `: ${errnoText(errno)}`);
    super(text, options.cause === undefined ? undefined : { cause: options.cause });
    const isOfDisk = code === "io" || code === "config";
    this.code = isOfDisk && isDenied(options) ? "refused" : code;
    this.context = options.context ?? {};
    this.hint = options.hint ?? hintBehind(options);
  }
}

function hintBehind(options: AppErrorOptions): string | undefined {
  const { cause } = options;
  return cause instanceof AppError ? cause.hint : HINT_OF_ERRNO[errnoBehind(options)];
}

function isDenied(options: AppErrorOptions): boolean {
  return HINT_OF_ERRNO[errnoBehind(options)] === PERMISSION_HINT;
}

function errnoBehind({ cause, context }: AppErrorOptions): string {
  return String(errnoOf(cause) ?? context?.["errno"]);
}

/**
 * Bytes that do not follow their format. Codecs throw it; the code that reads a mailbox, a database
 * or a peer turns it into a finding, a refusal or an `AppError` that says where it was.
 */
export class FormatError extends Error {
  override readonly name = "FormatError";
  /** Byte offset in the input where reading failed. */
  readonly offset: number;
  /** What should have stood there. */
  readonly expected: string;

  constructor(offset: number, expected: string) {
    super(`expected ${expected} at byte ${offset}`);
    this.offset = offset;
    this.expected = expected;
  }
}

/** The errno name of a failed system call (`ENOENT`, `EACCES` …), or undefined for other errors. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return undefined;
}

/** What SQLite says of a disk, a limit or a file; its other codes are misuse of it. */
const SQLITE_OF_DISK =
  /^SQLITE_(IOERR|FULL|NOMEM|CANTOPEN|READONLY|PERM|BUSY|LOCKED|CORRUPT|NOTADB)/;

/** True where nothing lies at the path of a call, also for a file in a folder's place. */
export function isAbsence(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}

/**
 * The AppError for a failed call of the system or of SQLite that nobody nearer to it has made one
 * of, as it concerns the whole command; an AppError as it is. Undefined for any other error, which
 * is a bug.
 */
export function systemError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error;
  const errno = errnoOf(error);
  // Codes with an underscore are those of the runtime (ERR_INVALID_ARG_TYPE).
  const isKnown = errno !== undefined && (/^E[A-Z0-9]+$/.test(errno) || SQLITE_OF_DISK.test(errno));
  if (!isKnown) return undefined;
  const { syscall = "use", path } = error as { syscall?: string; path?: unknown };
  const at = typeof path === "string" ? ` ${path}` : "";
  return new AppError("io", `Cannot ${syscall}${at || " a file"}: ${errno}`, {
    cause: error,
    context: { errno, ...(at !== "" && { path: at.trim() }) },
  });
}
