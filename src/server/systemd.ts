/**
 * What systemd tells a service and wants to hear from it: sockets that listen already (sd_listen_fds(3)) and
 * «I am ready» (sd_notify(3)). A datagram on a unix socket is all that takes, but node:dgram knows
 * no such sockets: libc is called for it.
 */
import { dlopen, ptr } from "bun:ffi";
import { utf8 } from "../core/bytes.ts";

const FIRST_FD = 3;
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const PATH_BYTES = 108;
/** glibc, then musl. */
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of the socket unit; `unknown` without one. */
  readonly name: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The sockets that were handed to the process `pid`. */
export function inheritedSockets(environment: Environment, pid: number): InheritedSocket[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = environment;
  const count = Number(LISTEN_FDS);
  if (LISTEN_PID !== String(pid) || !Number.isSafeInteger(count) || count < 1) return [];
  const names = (LISTEN_FDNAMES ?? "").split(":");
  return Array.from({ length: count }, (_, index) => {
    return { fd: FIRST_FD + index, name: names[index] || "unknown" };
  });
}

/** Sends `state` (`READY=1`) to the service manager; false if there is none or it could not be told. */
export function notifyManager(environment: Environment, state: string): boolean {
  const path = environment["NOTIFY_SOCKET"];
  if (path === undefined || !/^[/@]/.test(path)) return false;
  const address = socketAddress(path);
  if (address === undefined) return false;
  for (const library of LIBRARIES) {
    try {
      return sendDatagram(library, address, utf8(state));
    } catch (error) {
      if (!(error instanceof Error)) throw error; // not this library: the next one
    }
  }
  return false;
}

/** A sockaddr_un; the name of an abstract socket begins with NUL, written `@`. */
function socketAddress(path: string): Uint8Array | undefined {
  const name = utf8(path.startsWith("@") ? `\0${path.slice(1)}` : path);
  if (name.length >= PATH_BYTES) return undefined;
  const address = new Uint8Array(2 + name.length);
  address[new Uint8Array(new Uint16Array([AF_UNIX]).buffer)[0] === AF_UNIX ? 0 : 1] = AF_UNIX;
  address.set(name, 2);
  return address;
}

function sendDatagram(library: string, address: Uint8Array, text: Uint8Array): boolean {
  const { symbols, close } = dlopen(library, {
    socket: { args: ["int", "int", "int"], returns: "int" },
    sendto: { args: ["int", "ptr", "usize", "int", "ptr", "u32"], returns: "i64" },
    close: { args: ["int"], returns: "int" },
  });
  const fd = symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (fd < 0) return false;
  const sent = symbols.sendto(fd, ptr(text), text.length, 0, ptr(address), address.length);
  symbols.close(fd);
  close();
  return Number(sent) === text.length;
}
