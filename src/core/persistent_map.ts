/**
 * A map that is never changed: `with` and `without` give another one, and the one before stays as
 * it was, at no cost (H. Baker, «Shallow binding makes functional arrays fast», 1991).
 *
 * All versions that came from each other share one Map, which the version used last holds. Each of
 * the others knows the one entry in which it differs from its neighbour, and takes the Map over
 * when it is asked for something: that costs as many steps as there are changes between the two. So
 * going forward costs one step a change, going back as much, and using two versions by turns costs
 * the way each time.
 */
export class PersistentMap<Key, Value extends NonNullable<unknown>> {
  #holding: Holding<Key, Value>;

  private constructor(holding: Holding<Key, Value>) {
    this.#holding = holding;
  }

  /** A map of these entries, with no earlier version. */
  static of<Key, Value extends NonNullable<unknown>>(
    entries: Iterable<readonly [Key, Value]> = [],
  ): PersistentMap<Key, Value> {
    return new PersistentMap<Key, Value>({ kind: "entries", entries: new Map(entries) });
  }

  get size(): number {
    return this.#entries().size;
  }

  get(key: Key): Value | undefined {
    return this.#entries().get(key);
  }

  keys(): readonly Key[] {
    return [...this.#entries().keys()];
  }

  values(): readonly Value[] {
    return [...this.#entries().values()];
  }

  entries(): readonly (readonly [Key, Value])[] {
    return [...this.#entries()];
  }

  /** The version in which `key` has `value`. */
  with(key: Key, value: Value): PersistentMap<Key, Value> {
    return this.#changed(key, value);
  }

  /** The version without `key`. */
  without(key: Key): PersistentMap<Key, Value> {
    return this.get(key) === undefined ? this : this.#changed(key, undefined);
  }

  #changed(key: Key, value: Value | undefined): PersistentMap<Key, Value> {
    const entries = this.#entries();
    const next = new PersistentMap<Key, Value>({ kind: "difference", from: this, key, value });
    next.#takeFrom(this, entries);
    return next;
  }

  #entries(): Map<Key, Value> {
    const way: PersistentMap<Key, Value>[] = [];
    let holder: PersistentMap<Key, Value> = this;
    while (holder.#holding.kind === "difference") {
      way.push(holder);
      holder = holder.#holding.from;
    }
    const { entries } = holder.#holding;
    for (const next of way.reverse()) {
      next.#takeFrom(holder, entries);
      holder = next;
    }
    return entries;
  }

  /** Takes the Map over from the neighbour that holds it. */
  #takeFrom(neighbour: PersistentMap<Key, Value>, entries: Map<Key, Value>): void {
    if (this.#holding.kind === "entries") return;
    const { key, value } = this.#holding;
    const before = entries.get(key);
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
    neighbour.#holding = { kind: "difference", from: this, key, value: before };
    this.#holding = { kind: "entries", entries };
  }
}

type Holding<Key, Value extends NonNullable<unknown>> =
  | { readonly kind: "entries"; readonly entries: Map<Key, Value> }
  /** As `from`, but that `key` has `value`, or is not there if that is undefined. */
  | {
      readonly kind: "difference";
      readonly from: PersistentMap<Key, Value>;
      readonly key: Key;
      readonly value: Value | undefined;
    };
