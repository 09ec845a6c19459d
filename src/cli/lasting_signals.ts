/**
 * Signals that end nothing: SIGHUP, which daemons take as «read your files again» and a closing
 * terminal sends to all that was started in it, and SIGUSR1, which asks what is going on.
 */

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
