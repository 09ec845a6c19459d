/** How long a run will still take, from how fast it has been of late. */

export interface Pace {
  /**
   * The milliseconds left at time `ms`, when `done` of `total` is done; undefined while too little
   * has been seen to tell.
   */
  left(ms: number, done: number, total: number): number | undefined;
}

/** Nothing is said before that: threads start, connections open and mailboxes are listed. */
const SETTLE_MS = 2000;
/** How far back we look: so long, or half of the run where that is longer. */
const WINDOW_MS = 10_000;
/** Samples of a window, about. */
const SAMPLES = 32;

interface Sample {
  readonly ms: number;
  readonly done: number;
}

/** Begins to watch a run. The time before anything is done does not count. */
export function watchPace(): Pace {
  let samples: readonly Sample[] = [];
  let beganMs: number | undefined;
  return {
    left: (ms, done, total) => {
      if (done <= 0) return undefined;
      beganMs ??= ms;
      const windowMs = Math.max(WINDOW_MS, (ms - beganMs) / 2);
      const last = samples.at(-1);
      if (last === undefined || ms - last.ms >= windowMs / SAMPLES) {
        const from = samples.findLastIndex((one) => one.ms <= ms - windowMs);
        samples = [...samples.slice(Math.max(from, 0)), { ms, done }];
      }
      const [first] = samples;
      if (first === undefined || ms - beganMs < SETTLE_MS || done <= first.done) return undefined;
      return ((ms - first.ms) * Math.max(total - done, 0)) / (done - first.done);
    },
  };
}
