/** A lock at a place that somebody else holds: worth trying again, and not for ever. */
import type { Outcome } from "../../model/outcome.ts";

/** Milliseconds before each further try. */
const PAUSES_MS = [200, 600, 1_800];

/**
 * Does `work`, again where it is refused as `busy`; `first` is the answer that is there already.
 */
export async function patient<Value>(
  work: () => Promise<Outcome<Value>>,
  first?: Outcome<Value>,
): Promise<Outcome<Value>> {
  let done = first ?? (await work());
  for (const pause of PAUSES_MS) {
    if (done.kind === "ok" || done.reason !== "busy") return done;
    await Bun.sleep(pause);
    done = await work();
  }
  return done;
}
