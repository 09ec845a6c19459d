/** Progress of a run over many owners, with the done part of those under way. */
import type { Owner } from "../../model/names.ts";
import type { Output } from "../output.ts";
import { startProgress } from "./progress.ts";

export interface OwnersProgress {
  /** Reports that `part` of the `of` steps of an owner are done. */
  part(owner: Owner, part: number, of: number): void;
  sent(bytes: number): void;
  done(owner: Owner): void;
  stop(): void;
}

/** Starts the progress of a run over `total` owners. */
export function startOwnersProgress(output: Output, total: number): OwnersProgress {
  const progress = startProgress(output, "users");
  const parts = new Map<Owner, number>();
  let done = 0;
  let bytes = 0;
  const tell = (): void => {
    const underWay = [...parts.values()].reduce((sum, part) => sum + part, 0);
    progress.update(done + underWay, total, bytes);
  };
  return {
    part: (owner, part, of) => {
      parts.set(owner, Math.min(part / Math.max(of, 1), 1));
      tell();
    },
    sent: (more) => {
      bytes += more;
      tell();
    },
    done: (owner) => {
      parts.delete(owner);
      done += 1;
      tell();
    },
    stop: () => progress.stop(),
  };
}
