/** Runs `work` when it is its turn. */
export type InTurn = <Value>(work: () => Promise<Value>) => Promise<Value>;

/** Lets so many works run at a time; further ones wait, and begin in the order of their coming. */
export function inTurns(atATime: number): InTurn {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < atATime) running++;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
