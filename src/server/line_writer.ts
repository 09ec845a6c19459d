/**
 * Lines to a descriptor that may be a pipe which nobody empties, or a terminal that was stopped: a
 * write(2) would wait there, and the whole server with it. So poll(2) is asked before each.
 */
import { ptr } from "bun:ffi";
import { writeSync } from "node:fs";
import { utf8 } from "../core/bytes.ts";
import { openLibc } from "../storage/libc.ts";

const POLLOUT = 4;
/** A pipe that can be written to takes so many bytes at once (PIPE_BUF). */
const PIECE_BYTES = 4096;

/** Writes lines to `fd`: false for one that there is no room for now. Throws as write(2) fails. */
export function lineWriter(fd: number): (line: string) => boolean {
  const hasRoom = roomOf(fd);
  let isTorn = false;
  return (line) => {
    // What was written of a line before there was no more room is ended first.
    const bytes = utf8(`${isTorn ? "\n" : ""}${line}\n`);
    for (let at = 0; at < bytes.length; ) {
      if (!hasRoom()) {
        isTorn ||= at > 0;
        return false;
      }
      at += writeSync(fd, bytes, at, Math.min(PIECE_BYTES, bytes.length - at));
    }
    isTorn = false;
    return true;
  };
}

/** True where the system cannot be asked. */
function roomOf(fd: number): () => boolean {
  const poll = openLibc({ poll: { args: ["ptr", "u64", "int"], returns: "int" } })?.poll;
  if (poll === undefined) return () => true;
  // struct pollfd: int fd; short events; short revents
  const asked = new DataView(new ArrayBuffer(8));
  asked.setInt32(0, fd, true);
  asked.setInt16(4, POLLOUT, true);
  const bytes = new Uint8Array(asked.buffer);
  // Anything else than «no room» is for write(2) to say: a pipe whose reader has gone, say.
  return () => Number(poll(ptr(bytes), 1, 0)) !== 0;
}
