// Contents to write, and looks at files and folders.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { atomicWrite, type WriteResult } from '@pipeline/atomic'

/** What the docs say that a temp file is called. */
const TEMP_NAME = /^\..*\.[0-9A-Za-z]{12}\.atomic-tmp$/

/** A name that a writer could have given to its temp file for `name`. */
export const tempName = (name: string, random = 'abcdefghij09') => `.${name}.${random}.atomic-tmp`

/** The names below `dir` that are temp files of this library. */
export function leftovers(dir: string): string[] {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => TEMP_NAME.test(basename(name)))
}

/** Everything in a folder, hidden files too, in order. */
export function names(dir: string): string[] {
  return readdirSync(dir).sort()
}

export function makeDir(...parts: string[]): string {
  const dir = join(...parts)
  mkdirSync(dir, { recursive: true })
  return dir
}

/** What changes when a file is written, and only then. */
export function state(file: string) {
  const { ino, mtimeNs, size } = statSync(file, { bigint: true })
  return { ino, mtimeNs, size, bytes: readFileSync(file, 'latin1') }
}

export const TMPFS = 0x01021994
export const OVERLAY = 0x794c7630

/** Whether anything in `dir` can outlive a power cut. */
export function isDurable(dir: string): boolean {
  if (process.platform !== 'linux') return true
  const { type } = statfsSync(dir)
  if (type === OVERLAY) return !hasUpperLayerInMemory(dir)
  return type !== TMPFS
}

/** Of an overlay: it is not flushed, or its upper layer is not, as far as the path of that is one here. */
function hasUpperLayerInMemory(dir: string): boolean {
  const { dev } = statSync(dir)
  const device = `${dev >> 8}:${dev & 0xff}`
  const mount = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .findLast((line) => line.split(' ')[2] === device)
  const options = mount?.split(' ').at(-1)?.split(',') ?? []
  const [, upper] = options.find((option) => option.startsWith('upperdir='))?.split('=') ?? []
  const isMemory = upper !== undefined && existsSync(upper) && statfsSync(upper).type === TMPFS
  return isMemory || options.includes('volatile')
}

/** The result of a write of that many bytes in `dir` with nothing special about it. */
export const written = (dir: string, bytes: number, more: Partial<WriteResult> = {}): WriteResult => ({
  written: true,
  bytes,
  durable: isDurable(dir),
  verified: 'cache',
  atomic: true,
  ...more,
})

/** Bytes that differ from place to place, so that a block that is shifted or missing shows. */
export function pattern(size: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4))
  let state = seed
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    words[i] = state
  }
  return Buffer.from(words.buffer, 0, size)
}

/** Content that says at its start which call it is of. */
export function numbered(call: number, size: number): Buffer {
  const bytes = Buffer.alloc(Math.max(size, 4), call)
  bytes.writeUInt32LE(call)
  return bytes
}

function numberIn(path: string): number {
  if (!existsSync(path)) return -1
  const start = Buffer.alloc(4)
  const fd = openSync(path, 'r')
  readSync(fd, start, 0, 4, 0)
  closeSync(fd)
  return start.readUInt32LE()
}

/**
 * Looks at a file of numbered content until `writing` is done: whether the numbers only went up, and which is
 * there in the end. `stale`: an earlier round's is there until the first is written.
 */
export async function numbersSeen(path: string, writing: Promise<unknown>, stale = false) {
  const look = () => numberIn(path)
  let [ascending, last, over] = [true, stale ? -1 : look(), false]
  const before = look()
  const end = writing.finally(() => {
    over = true
  })
  while (!over) {
    const now = look()
    if (now !== last && !(stale && last === -1 && now === before)) {
      ascending &&= now > last
      last = now
    }
    await nextTurn()
  }
  await end
  return { ascending, last: look() }
}

/** Runs `body` with `dir` as the working directory. */
export async function inside<T>(dir: string, body: () => T): Promise<Awaited<T>> {
  const before = process.cwd()
  process.chdir(dir)
  try {
    return await body()
  } finally {
    process.chdir(before)
  }
}

/** What node:fs puts into an error, for comparing two. */
export const shape = ({ name, code, errno, syscall, path, dest, message }: any) => ({
  ...{ name, code, errno, syscall, path, dest, message },
})

/** For arguments that the types forbid. */
export const loosely = atomicWrite as (...args: unknown[]) => Promise<unknown>
