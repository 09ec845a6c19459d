/**
 * Datagrams to a unix socket: systemd and syslog are told things so. node:dgram does not support
 * such sockets, so this calls libc.
 */
import { ptr } from "bun:ffi";
import { utf8 } from "../core/bytes.ts";
import { openLibc } from "../storage/libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_DONTWAIT = 0x40;
const PATH_BYTES = 108;

interface Sender {
  readonly fd: number;
  readonly sendto: NonNullable<ReturnType<typeof openCalls>>["sendto"];
}

/** Opened when it is first needed; null where the system does not let us. */
let sender: Sender | null | undefined;

/**
 * Sends `text` to the socket at `path`; `@name` is an abstract socket. False if nothing there takes
 * the datagram at once: this never waits.
 */
export function sendDatagram(path: string, text: string): boolean {
  const address = socketAddress(path);
  if (sender === undefined) sender = openSender();
  if (address === undefined || sender === null) return false;
  const bytes = utf8(text);
  const { fd, sendto } = sender;
  const sent = sendto(fd, ptr(bytes), bytes.length, MSG_DONTWAIT, ptr(address), address.length);
  return Number(sent) === bytes.length;
}

/** A sockaddr_un; the name of an abstract socket begins with NUL, written `@`. */
function socketAddress(path: string): Uint8Array | undefined {
  const name = utf8(path.startsWith("@") ? `\0${path.slice(1)}` : path);
  if (!/^[/@]/.test(path) || name.length >= PATH_BYTES) return undefined;
  const address = new Uint8Array(2 + name.length);
  address[new Uint8Array(new Uint16Array([AF_UNIX]).buffer)[0] === AF_UNIX ? 0 : 1] = AF_UNIX;
  address.set(name, 2);
  return address;
}

function openSender(): Sender | null {
  const calls = openCalls();
  const fd = calls?.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0) ?? -1;
  return calls === undefined || fd < 0 ? null : { fd, sendto: calls.sendto };
}

function openCalls() {
  return openLibc({
    socket: { args: ["int", "int", "int"], returns: "int" },
    sendto: { args: ["int", "ptr", "usize", "int", "ptr", "u32"], returns: "i64" },
  });
}
