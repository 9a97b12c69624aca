// Compiled, never run: the types as a CommonJS module sees them.
import atomic = require('@pipeline/atomic')

import { yaml } from '@pipeline/atomic/yaml'

export const write: (path: string, data: Uint8Array) => Promise<atomic.WriteResult> = (path, data) =>
  atomic.atomicWrite(path, data)

export const codec: atomic.IndexCodec = yaml
