/**
 * The threads of a store. One stages what sessions send, as that is short work which must never
 * queue behind a long one. The others work for the owners. An owner's name says which of them is
 * his home, and while he has any work under way, all of his goes to the thread that does it: so no
 * thread waits for the lock that another one holds. An owner whose home is busy with others goes to
 * an idle thread, if there is one.
 */

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
  /** Threads for owners. */
  readonly threads: number;
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

export class StoreThreads {
  readonly #options: StoreThreadsOptions;
  readonly #owners: readonly Seat[];
  readonly #staging: Seat = { thread: undefined, works: 0 };
  /** Owners with works under way. */
  readonly #seated = new Map<string, { readonly seat: Seat; works: number }>();
  readonly #works = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(options: StoreThreadsOptions) {
    this.#options = options;
    this.#owners = Array.from({ length: options.threads }, () => ({ thread: undefined, works: 0 }));
  }

  /** Runs `work` with the thread that has `owner`. */
  async forOwner<T>(owner: Owner, work: (thread: StoreThread) => Promise<T>): Promise<T> {
    const word = ownerKey(owner);
    const seated = this.#seated.get(word) ?? { seat: this.#seatFor(word), works: 0 };
    this.#seated.set(word, seated);
    seated.works++;
    try {
      return await this.#run(seated.seat, work);
    } finally {
      seated.works--;
      if (seated.works === 0) this.#seated.delete(word);
    }
  }

  /** Runs `work`, which is about no owner in particular. */
  forAnyone<T>(work: (thread: StoreThread) => Promise<T>): Promise<T> {
    const idle = this.#owners.find((seat) => seat.works === 0);
    return this.#run(idle ?? this.#homeOf(""), work);
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
    const seats = [...this.#owners, this.#staging];
    const threads = seats.map(({ thread }) => thread).filter((thread) => thread !== undefined);
    const closed = await Promise.allSettled(threads.map(endOf));
    const failed = closed.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #seatFor(word: string): Seat {
    const home = this.#homeOf(word);
    if (home.works === 0) return home;
    return this.#owners.find((seat) => seat.works === 0) ?? home;
  }

  #homeOf(word: string): Seat {
    return this.#owners[crc32(fromLatin1(word)) % this.#owners.length] ?? this.#staging;
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
    const { url, root, limits, threads, openOwners, tell } = this.#options;
    const data: StoreThreadData = {
      ...{ root, limits },
      openOwners: Math.floor(openOwners / threads),
    };
    const onLost = (): void => {
      seat.thread = undefined;
    };
    return new JobThread<StoreJobs>(url, { data, onLost, onNote: tell });
  }
}

async function endOf(thread: StoreThread): Promise<void> {
  try {
    await thread.submit("store.close", undefined);
  } finally {
    await thread.close("the store was closed");
  }
}
