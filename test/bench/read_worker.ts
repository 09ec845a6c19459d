import { closeSync, openSync, readSync } from "node:fs";
import { serveJobs } from "../../src/threads/jobs.ts";

const buffer = new Uint8Array(256 * 1024);

export const READ_JOBS = {
  /** Reads the files and returns how many bytes they have. */
  read: (paths: readonly string[]) => {
    let bytes = 0;
    for (const path of paths) {
      const fd = openSync(path, "r");
      let count = 0;
      do {
        count = readSync(fd, buffer, 0, buffer.length, null);
        bytes += count;
      } while (count > 0);
      closeSync(fd);
    }
    return bytes;
  },
};

serveJobs(READ_JOBS);
