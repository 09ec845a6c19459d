/**
 * The threads of a store. One stages what sessions send, as that is short work which must never
 * queue behind a long one. Some only read, so that no reader waits for the syncs of a writer: who
 * reads takes no lock. The others write for the owners. While an owner has any of that under way,
 * all of his goes to the thread that does it: so no thread waits for the lock that another one
 * holds. Else he goes to the thread that his name says, if that is busy to one that is idle, and
 * else to a new one: writers mostly wait for the disk, which syncs many files in the time of one.
 */
import { assert } from "../../../core/assert.ts";
import { fromLatin1 } from "../../../core/bytes.ts";
import { AppError } from "../../../core/errors.ts";
import type { Limits } from "../../../core/limits.ts";
import { crc32 } from "../../../hash/crc32.ts";
import { type Owner, ownerKey } from "../../../model/names.ts";
import { JobThread } from "../../../threads/job_thread.ts";
import type { StoreJobs, StoreThreadData } from "./store_jobs.ts";

export type StoreThread = JobThread<StoreJobs>;

export interface StoreThreadsOptions {
  /** The module that the threads run. */
  readonly url: URL;
  /** Threads that write, at most, and threads that read. */
  readonly threads: number;
  readonly readers: number;
  readonly root: string;
  readonly limits: Limits;
  /** Owners whose folders stay open, in all threads together. */
  readonly openOwners: number;
  /** Takes what the threads have to say beside their answers. */
  readonly tell: ((text: string) => void) | undefined;
}

/** Owners whose folders stay open if nobody says otherwise. */
export const OPEN_OWNERS = 64;

/** The place of a thread, which is begun by its first work, and anew after it was lost. */
interface Seat {
  thread: StoreThread | undefined;
  /** How many works are under way. */
  works: number;
}

/** Threads that write, begun before any is shared. */
const BEGUN_AT_ONCE = 2;

export class StoreThreads {
  readonly #options: StoreThreadsOptions;
  readonly #owners: readonly Seat[];
  readonly #readers: readonly Seat[];
  readonly #staging: Seat = { thread: undefined, works: 0 };
  /** Owners with works under way. */
  readonly #seated = new Map<string, { readonly seat: Seat; works: number }>();
  readonly #works = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: StoreThreadsOptions) {
    this.#options = options;
    this.#owners = seats(options.threads);
    this.#readers = seats(options.readers);
  }

  /** Runs `work`, which only reads, for `owner`. */
  forReader<T>(owner: Owner, work: (thread: StoreThread) => Promise<T>): Promise<T> {
    return this.#run(seatFor(this.#readers, ownerKey(owner)), work);
  }

  /** Runs `work` with the thread that has `owner`. */
  async forOwner<T>(owner: Owner, work: (thread: StoreThread) => Promise<T>): Promise<T> {
    const word = ownerKey(owner);
    const seated = this.#seated.get(word) ?? { seat: this.#ownersSeat(word), works: 0 };
    this.#seated.set(word, seated);
    seated.works++;
    try {
      return await this.#run(seated.seat, work);
    } finally {
      seated.works--;
      if (seated.works === 0) this.#seated.delete(word);
    }
  }

  /** Runs `work`, which only reads and is about no owner in particular. */
  forAnyone<T>(work: (thread: StoreThread) => Promise<T>): Promise<T> {
    return this.#run(seatFor(this.#readers, ""), work);
  }

  /** Runs `work` with the thread that takes what sessions send. */
  forStaging<T>(work: (thread: StoreThread) => Promise<T>): Promise<T> {
    return this.#run(this.#staging, work);
  }

  /** Runs `work`, which takes several steps, to its end even if `close` is called meanwhile. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    // While earlier works are ending, a step of theirs cannot be told from a new work.
    if (this.#isClosed && this.#works.size === 0) {
      throw new AppError("io", `Cannot use ${this.#options.root}: it is closed`);
    }
    const running = work();
    this.#works.add(running);
    try {
      return await running;
    } finally {
      this.#works.delete(running);
    }
  }

  /** Waits for the works under way, closes the store in every thread and ends the threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    while (this.#works.size > 0) await Promise.allSettled(this.#works);
    const all = [...this.#owners, ...this.#readers, this.#staging];
    const threads = all.map(({ thread }) => thread).filter((thread) => thread !== undefined);
    const closed = await Promise.allSettled(threads.map(endOf));
    const failed = closed.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #ownersSeat(word: string): Seat {
    const begun = this.#owners.filter(({ thread }) => thread !== undefined);
    return begun.length < BEGUN_AT_ONCE
      ? leastBusy(this.#owners, word)
      : seatFor(this.#owners, word);
  }

  async #run<T>(seat: Seat, work: (thread: StoreThread) => Promise<T>): Promise<T> {
    seat.works++;
    try {
      return await this.during(() => {
        seat.thread ??= this.#begin(seat);
        return work(seat.thread);
      });
    } finally {
      seat.works--;
    }
  }

  #begin(seat: Seat): StoreThread {
    const { url, root, limits, threads, readers, openOwners, tell } = this.#options;
    const data: StoreThreadData = {
      ...{ root, limits },
      openOwners: Math.floor(openOwners / (threads + readers)),
    };
    const onLost = (): void => {
      seat.thread = undefined;
    };
    return new JobThread<StoreJobs>(url, { data, onLost, onNote: tell });
  }
}

function seats(length: number): Seat[] {
  return Array.from({ length }, () => ({ thread: undefined, works: 0 }));
}

/** A thread that has been begun serves before a new one: each costs memory, and time to begin. */
function seatFor(among: readonly Seat[], word: string): Seat {
  const idle = among.filter(({ thread, works }) => thread !== undefined && works === 0);
  return leastBusy(idle.length > 0 ? idle : among, word);
}

/** The seat that the name says, or the first one with less work. */
function leastBusy(among: readonly Seat[], word: string): Seat {
  const home = crc32(fromLatin1(word)) % among.length;
  const [first, ...others] = [...among.slice(home), ...among.slice(0, home)];
  assert(first !== undefined, "there are threads");
  return others.reduce((best, seat) => (seat.works < best.works ? seat : best), first);
}

async function endOf(thread: StoreThread): Promise<void> {
  try {
    await thread.submit("store.close", undefined);
  } finally {
    await thread.close("the store was closed");
  }
}
