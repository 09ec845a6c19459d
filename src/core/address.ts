/** IP addresses of peers, as text. */

/** True for an address of this machine that nothing outside can have. */
export function isLoopback(address: string): boolean {
  return /^(127\.|::1$|::ffff:127\.)/.test(address);
}

/**
 * What counts as one peer: an IPv4 address, or the first 64 bits of an IPv6 address. An IPv6
 * customer mostly has the 48 bits above, so all of these count together too, if less strictly.
 */
export function networkOf(address: string, ipv6Bits: 48 | 64 = 64): string {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  if (!plain.includes(":")) return plain;
  const [head = "", tail = ""] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === "" ? [] : tail.split(":");
  const zeros = plain.includes("::") ? Math.max(0, 8 - left.length - right.length) : 0;
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  return groups.slice(0, ipv6Bits / 16).join(":");
}
