/** Standard input, or what a command prints: piece by piece, so that it may be of any size. */

import { spawn } from 'node:child_process'
import { createReadStream, fstatSync, type Stats } from 'node:fs'
import type { Readable } from 'node:stream'
import { Failure } from './run'

export interface Source {
  chunks: AsyncIterable<Buffer>
  /** Its size in bytes, where that is known before. */
  size: number | undefined
}

/** A source that ends early because of `signal` fails with its reason: it must not look complete. */
async function* untilAborted(stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  const stop = () => stream.destroy(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', stop, { once: true })
  try {
    yield* stream
    signal.throwIfAborted()
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

export function standardInput(signal: AbortSignal): Source {
  const state = fstatSync(0)
  async function* chunks() {
    try {
      yield* untilAborted(inputStream(state), signal)
    } catch (error) {
      signal.throwIfAborted()
      throw new Failure(
        `Standard input could not be read: ${(error as Error).message}`,
        (error as NodeJS.ErrnoException).code,
      )
    }
  }
  return { chunks: chunks(), size: state.isFile() ? state.size : undefined }
}

/** Node.js takes what it does not know, a directory or a disk, for an empty input: those are read as files, or fail as such. */
function inputStream(state: Stats): Readable {
  const isKnown = state.isFile() || state.isFIFO() || state.isSocket() || state.isCharacterDevice()
  return isKnown ? process.stdin : createReadStream('', { fd: 0, autoClose: false })
}

/** What a command prints. It fails if the command does: what it has printed by then is not complete. */
export function outputOf([command = '', ...args]: string[], signal: AbortSignal): Source {
  async function* chunks() {
    const child = spawn(command, args, { stdio: ['inherit', 'pipe', 'inherit'] })
    const ended = new Promise<void>((resolve, reject) => {
      child.on('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'ENOENT' ? 'there is no such program' : error.message
        reject(new Failure(`"${command}" could not be started: ${why}`, error.code))
      })
      child.on('close', (code, by) => {
        if (code === 0) resolve()
        else
          reject(new Failure(`"${command}" ${by ? `was ended by ${by}` : `failed with exit code ${code}`}`))
      })
    })
    ended.catch(() => {})
    try {
      yield* untilAborted(child.stdout, signal)
      await ended
    } finally {
      child.kill()
    }
  }
  return { chunks: chunks(), size: undefined }
}
