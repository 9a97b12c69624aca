// Compiled, never run: the types as a CommonJS module sees them.
import atomic = require('@pipeline/atomic')

export const write: (path: string, data: Uint8Array) => Promise<atomic.WriteResult> = (path, data) =>
  atomic.atomicWrite(path, data)
