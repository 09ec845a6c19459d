/** The beginning of TLS with a client, which may be anybody: that it fails is for the log. */
import type { Log } from "../core/log.ts";
import type { Connection } from "./connection.ts";
import type { TlsIdentity } from "./tls.ts";

/** Begins TLS; false if the client did not manage, and has been cut off. */
export async function shakeHands(
  connection: Connection,
  identity: TlsIdentity,
  log: Log,
): Promise<boolean> {
  try {
    await connection.startTls({ side: "server", identity });
    return true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.write("info", "TLS handshake failed", { why });
    connection.destroy();
    return false;
  }
}
