/** Cuts a stream of bytes into lines, keeping at most `maxBytes` of each: memory stays bounded whatever comes. */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: string, truncated: boolean) => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #started = false;
  #truncated = false;

  constructor(maxBytes: number, onLine: (line: string, truncated: boolean) => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      this.#take(chunk.subarray(from, end));
      this.#emit();
      from = end + 1;
    }
    if (from < chunk.length) this.#take(chunk.subarray(from));
  }

  /** The stream has ended: what stands without a line end is the last line. */
  end(): void {
    if (this.#started) this.#emit();
  }

  #take(part: Buffer): void {
    this.#started = true;
    const room = this.#maxBytes - this.#bytes;
    if (part.length > room) this.#truncated = true;
    if (room <= 0 || part.length === 0) return;
    // Copied: a slice of a few bytes would keep the whole chunk of 64 KiB alive.
    const kept = Buffer.from(part.subarray(0, room));
    this.#parts.push(kept);
    this.#bytes += kept.length;
  }

  #emit(): void {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    const text = (this.#truncated ? bytes.subarray(0, wholeCharacters(bytes)) : bytes).toString('utf8');
    const truncated = this.#truncated;
    this.#parts = [];
    this.#bytes = 0;
    this.#started = false;
    this.#truncated = false;
    this.#onLine(text.endsWith('\r') ? text.slice(0, -1) : text, truncated);
  }
}

/** `text` cut to at most `maxBytes` of UTF-8, at a character's border. */
export function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  const cut = bytes.subarray(0, maxBytes);
  return cut.subarray(0, wholeCharacters(cut)).toString('utf8');
}

/** How many bytes of `bytes` are whole UTF-8 characters: fewer than its length when it was cut within one. */
function wholeCharacters(bytes: Buffer): number {
  let start = bytes.length - 1;
  while (start >= 0 && start > bytes.length - 4 && ((bytes[start] as number) & 0xc0) === 0x80) start--;
  const lead = bytes[start] ?? 0;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return start + length > bytes.length ? Math.max(start, 0) : bytes.length;
}
