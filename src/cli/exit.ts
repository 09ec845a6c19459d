/** Exit codes: a few of Bobbin's own, then those of sysexits. The README has the table. */
import type { ErrorCode } from "../core/errors.ts";

export const EXIT = {
  ok: 0,
  /** Damage or differences were found and left. */
  damage: 1,
  /** Some users or mailboxes failed. */
  partial: 2,
  /** Damage was found and all of it repaired. */
  repaired: 3,
  usage: 64,
  badData: 65,
  notFound: 66,
  unreachable: 69,
  bug: 70,
  cannotCreate: 73,
  io: 74,
  busy: 75,
  protocol: 76,
  refused: 77,
  config: 78,
} as const;

export type ExitCode = number;

const BY_ERROR: Readonly<Record<ErrorCode, ExitCode>> = {
  usage: EXIT.usage,
  bad_data: EXIT.badData,
  not_found: EXIT.notFound,
  unreachable: EXIT.unreachable,
  cannot_create: EXIT.cannotCreate,
  io: EXIT.io,
  busy: EXIT.busy,
  protocol: EXIT.protocol,
  refused: EXIT.refused,
  config: EXIT.config,
};

/** What the error lines of `--json` have as their `code`. */
export const ERROR_CODES = [...(Object.keys(BY_ERROR) as ErrorCode[]), "bug"] as const;

/** The exit code of an AppError. */
export function exitOf(code: ErrorCode): ExitCode {
  return BY_ERROR[code];
}

/** Which code wins where several apply. */
const WORST_FIRST: readonly ExitCode[] = [
  EXIT.bug,
  EXIT.io,
  EXIT.refused,
  EXIT.partial,
  EXIT.damage,
  EXIT.repaired,
  EXIT.ok,
];

/** The exit code of a run: the first of 70, 74, 77, 2, 1, 3, 0 that occurs among its parts. */
export function worstExit(codes: Iterable<ExitCode>): ExitCode {
  const found = new Set(codes);
  return WORST_FIRST.find((code) => found.has(code)) ?? EXIT.ok;
}
