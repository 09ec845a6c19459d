/** The unpacked stream of an archive, of which any part can be read. */
export interface ArchiveBytes {
  /** `size` bytes from `offset` of the stream on. Damage of the archive is an AppError. */
  read(offset: number, size: number): Uint8Array;
}
