/**
 * Parses Cyrus' telemetry logs, which record the traffic of one connection. A mark with the time
 * stands before each piece: `<1795346013<` before what the client sent, `>1795346013>` before what
 * the server sent. A line of dashes with the user's name stands before the first mark.
 */
import { fromLatin1, latin1 } from "../../core/bytes.ts";

export interface TelemetryPiece {
  readonly side: "client" | "server";
  /** Unix seconds. */
  readonly time: number;
  readonly bytes: Uint8Array;
}

const MARK = /<(\d{9,11})<|>(\d{9,11})>/g;

/** The pieces of a log in their order; undefined if `bytes` hold no mark and so are no such log. */
export function parseTelemetry(bytes: Uint8Array): readonly TelemetryPiece[] | undefined {
  const text = latin1(bytes);
  const marks = [...text.matchAll(MARK)];
  if (marks.length === 0) return undefined;
  return marks.map((mark, at) => {
    const start = mark.index + mark[0].length;
    const piece = text.slice(start, marks[at + 1]?.index);
    const side = mark[1] === undefined ? "server" : "client";
    return { side, time: Number(mark[1] ?? mark[2]), bytes: fromLatin1(piece) };
  });
}
