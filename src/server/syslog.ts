/**
 * A log that goes to syslog's socket, in the form that its local clients use (RFC 3164 4.1, without
 * time and host, which the daemon puts there): `<PRI>bobbin[pid]: text`, facility mail.
 */
import { type Log, type LogLevel, makeLog, sinkThatMayFail } from "../core/log.ts";
import { sendDatagram } from "./datagram.ts";

const FACILITY_MAIL = 2 << 3;

/** A line that the daemon does not take is missing there, and counted in the next one. */
export function syslogLog(socket: string, level: LogLevel, pid: number): Log {
  const sink = sinkThatMayFail((line) => {
    const priority = Number(line.charAt(1)) | FACILITY_MAIL;
    return sendDatagram(socket, `<${priority}>bobbin[${pid}]: ${line.slice("<0>".length)}`);
  });
  return makeLog({ sink, form: "journal", level, now: () => 0 });
}
