/** Certificates in PEM files that an administrator has given. */
import { X509Certificate } from "node:crypto";
import { AppError } from "../core/errors.ts";

const BLOCK = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?(?:-----END [^-]*-----|$)/gs;

/** The certificates in `pem`, one at least; `path` is for the message. Throws AppError (config). */
export function parseCertificates(
  pem: string,
  path: string,
): [X509Certificate, ...X509Certificate[]] {
  const parsed = (pem.match(BLOCK) ?? []).map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      const which = `certificate number ${index + 1}`;
      const text = `Cannot use ${path}: its ${which} is damaged or cut short`;
      throw new AppError("config", text, { cause: error, hint: "Fetch or copy it again" });
    }
  });
  const [first, ...others] = parsed;
  if (first !== undefined) return [first, ...others];
  throw new AppError("config", `Cannot use ${path}: it holds no certificate`, {
    hint: pem.includes("PRIVATE KEY-----")
      ? "It is a key: a certificate begins with -----BEGIN CERTIFICATE-----"
      : "PEM is wanted, which begins with -----BEGIN CERTIFICATE-----; of DER, " +
        "`openssl x509 -inform der -in FILE` makes it",
  });
}
