/**
 * Signals that end nothing: SIGHUP, which daemons take as «read your files again» and a closing
 * terminal sends to all that was started in it, and SIGUSR1, which asks what is going on.
 * And SIGINT and SIGTERM, at which a command ends soon, tells what it did, and exits 130 or 143.
 */
import { AppError } from "../core/errors.ts";
import type { ExitCode } from "./exit.ts";

export interface LastingSignals {
  /** What is done at SIGHUP; nothing without it. */
  onHangUp(act: () => void): void;
  /** How the state is told at SIGUSR1, in place of the usual. */
  onStateAsked(tell: () => void): void;
}

/** From now on neither signal ends the process. */
export function outliveSignals(tellState: () => void): LastingSignals {
  let [hangUp, tell] = [(): void => undefined, tellState];
  process.on("SIGHUP", () => hangUp());
  process.on("SIGUSR1", () => tell());
  return {
    onHangUp: (act) => {
      hangUp = act;
    },
    onStateAsked: (other) => {
      tell = other;
    },
  };
}

/** The exit code of a command that a signal has ended. */
export const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

/** Aborts when `taken` (`takeSignals` of command.ts) does, with an AppError as the reason. */
export function interruption(taken: AbortSignal): AbortSignal {
  const controller = new AbortController();
  taken.addEventListener("abort", () => {
    const name = taken.reason === "SIGTERM" ? "SIGTERM" : "SIGINT";
    controller.abort(
      new AppError("busy", `Ended by ${name}`, { context: { exit: EXIT_OF_SIGNAL[name] } }),
    );
  });
  return controller.signal;
}

/** The exit code, where a signal has ended the command. */
export function interruptedBy({ aborted, reason }: AbortSignal): ExitCode | undefined {
  return aborted && reason instanceof AppError ? Number(reason.context["exit"]) : undefined;
}
