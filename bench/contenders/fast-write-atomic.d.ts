// The package brings no types.

declare module 'fast-write-atomic' {
  const writeAtomic: { promise(path: string, content: string | Buffer): Promise<void> }
  export = writeAtomic
}
