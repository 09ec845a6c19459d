/**
 * What systemd tells a service and wants to hear from it: sockets that listen already
 * (sd_listen_fds(3)) and «I am ready» (sd_notify(3)).
 */
import { sendDatagram } from "./datagram.ts";

const FIRST_FD = 3;

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

/**
 * Sends `state` (`READY=1`) to the service manager; false if there is none or it could not be told.
 */
export function notifyManager(environment: Environment, state: string): boolean {
  const path = environment["NOTIFY_SOCKET"];
  return path !== undefined && sendDatagram(path, state);
}
