/** Takes a model's bytes as they arrive: the wasm module's loader behind a narrow face. */
export interface ModelSink {
  /**
   * Starts, or starts over, with the small files; absent for GGUF, which carries both. A second call throws
   * away what was pushed before: a cached file proved damaged, or the server's file changed under a resume.
   */
  open(files: { config?: Uint8Array; tokenizer?: Uint8Array }): Promise<void>;
  /** The next weight file; its bytes follow. */
  beginFile(name: string, bytes: number): void;
  /** The next bytes of the file, in order, to be used or copied at once. A promise holds the download back. */
  push(chunk: Uint8Array): void | Promise<void>;
  /** A new running SHA-256. */
  sha256(): { update(chunk: Uint8Array): void; digest(): string; free(): void };
}
