/** The beginning of TLS, at once or after STARTTLS. */
import type { Log } from "../core/log.ts";
import type { Connection, TlsIdentity } from "./client_connection.ts";

/** Begins TLS; false if the client did not manage, and has been cut off. */
export async function shakeHands(
  connection: Connection,
  tls: TlsIdentity,
  log: Log,
): Promise<boolean> {
  try {
    await connection.startTls(tls);
    return true;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.write("info", "TLS handshake failed", { why });
    connection.destroy();
    return false;
  }
}
