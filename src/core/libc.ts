/** Calls of libc that node:fs lacks, through bun:ffi. */
import { dlopen, type FFIFunction } from "bun:ffi";

/** glibc, then musl. */
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"];

/** The functions of libc by name; undefined where no libc can be opened, as in a static world. */
export function openLibc<Symbols extends Record<string, FFIFunction>>(symbols: Symbols) {
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, symbols).symbols;
    } catch (error) {
      if (!(error instanceof Error)) throw error; // not this library: the next one
    }
  }
  return undefined;
}
