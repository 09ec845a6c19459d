/**
 * Inflates what a compressed connection sends. Each write to zlib is a trip to another thread, and
 * clients flush after some 2 KB: what arrives during one trip is sent along with the next.
 */
import type { Duplex } from "node:stream";
import { constants, createInflateRaw, type InflateRaw } from "node:zlib";
import { concat } from "../core/bytes.ts";

const OUTPUT_BYTES = 64 * 1024;
/** Compressed bytes that may wait; then the socket is paused. */
const WAITING_BYTES = 256 * 1024;

/** Inflates all that `socket` sends from here on; `early` is what was read of it already. */
export function inflateFrom(socket: Duplex, early: Uint8Array): InflateRaw {
  const inflate = createInflateRaw({
    finishFlush: constants.Z_SYNC_FLUSH,
    chunkSize: OUTPUT_BYTES,
  });
  let waiting: Uint8Array[] = early.length > 0 ? [early] : [];
  let waitingBytes = early.length;
  let isBusy = false;
  let isEnded = socket.readableEnded;
  const pump = () => {
    if (isBusy) return;
    if (waitingBytes === 0) {
      if (isEnded) inflate.end();
      return;
    }
    const piece = concat(waiting);
    waiting = [];
    waitingBytes = 0;
    isBusy = true;
    if (!isEnded) socket.resume();
    inflate.write(piece, () => {
      isBusy = false;
      pump();
    });
  };
  socket.on("data", (chunk: Uint8Array) => {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes > WAITING_BYTES) socket.pause();
    pump();
  });
  socket.on("end", () => {
    isEnded = true;
    pump();
  });
  pump();
  socket.resume();
  return inflate;
}
