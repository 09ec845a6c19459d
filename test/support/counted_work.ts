/**
 * How much a piece of work moves, instead of how long it takes: entries put into maps and sets,
 * elements of arrays that are copied or gone through by the array's own means, and bytes copied.
 * What grows faster than its input shows here on any machine, however busy.
 */
export async function countedWork(run: () => void | Promise<void>): Promise<number> {
  let count = 0;
  const takeBack: (() => void)[] = [];
  const watch = <Target extends object>(target: Target, name: keyof Target, cost: Cost): void => {
    const own = target[name] as (...args: unknown[]) => unknown;
    const counting = function (this: Sized, ...args: unknown[]): unknown {
      count += cost(this, args);
      return Reflect.apply(own, this, args);
    };
    target[name] = counting as Target[keyof Target];
    takeBack.push(() => {
      target[name] = own as Target[keyof Target];
    });
  };
  watch(Map.prototype, "set", () => 1);
  watch(Set.prototype, "add", () => 1);
  for (const name of ["entries", "keys", "values", "forEach", Symbol.iterator] as const) {
    watch(Map.prototype, name, ({ size = 0 }) => size);
    watch(Set.prototype, name, ({ size = 0 }) => size);
  }
  for (const name of ["concat", "filter", "find", "map", "slice", Symbol.iterator] as const) {
    watch(Array.prototype, name, ({ length = 0 }) => length);
  }
  const bytes: Uint8Array = Object.getPrototypeOf(Uint8Array.prototype);
  watch(bytes, "set", (_, [source]) => (source as Sized).length ?? 0);
  watch(bytes, "slice", ({ length = 0 }) => length);
  try {
    await run();
  } finally {
    for (const undo of takeBack) undo();
  }
  return count;
}

interface Sized {
  readonly size?: number;
  readonly length?: number;
}

type Cost = (of: Sized, args: readonly unknown[]) => number;
