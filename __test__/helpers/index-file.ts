// What the specs of atomicIndexUpdate share: an index in a folder of its own, and looks at it from outside.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test as base, expect } from 'vitest'
import { inProcess, type ProcessOptions, type RunningProcess } from './elsewhere'

interface Fixtures {
  /** An empty folder. */
  dir: string
  /** `index.json` in it; not there yet. */
  file: string
  /** Where the lock of that index lies while somebody has it. */
  lock: string
}

export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures this one needs.
  dir: async ({}, use) => {
    const dir = mkdtempSync(join(tmpdir(), 'atomic-index-'))
    await use(dir)
    rmSync(dir, { recursive: true, force: true })
  },
  file: ({ dir }, use) => use(join(dir, 'index.json')),
  lock: ({ dir }, use) => use(join(dir, '.index.json.lock')),
})

export const isRoot = process.getuid?.() === 0

/** Somebody who owns nothing here and may do no more than others. */
export const NOBODY = 65534

export interface Counter {
  n: number
}

/** The plainest update. */
export function increment(index: any): Counter {
  index.n++
  return index
}

export function readJson(file: string): any {
  return JSON.parse(readFileSync(file, 'utf8'))
}

export function writeJson(file: string, value: unknown): void {
  writeFileSync(file, JSON.stringify(value))
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

/** What changes when somebody writes a file, and only then. */
export function state(file: string) {
  const { ino, mtimeNs, size } = statSync(file, { bigint: true })
  return { ino, mtimeNs, size, bytes: readFileSync(file, 'latin1') }
}

/** What a promise is rejected with; `undefined` can be it. */
export async function rejection(promise: Promise<unknown>): Promise<any> {
  const settled = await promise.then(
    (value) => ({ value }),
    (reason) => ({ reason }),
  )
  if ('value' in settled) expect.fail(`resolved with ${JSON.stringify(settled.value)}`)
  return settled.reason
}

/** Whether a promise is still open after `ms`. */
export async function isPending(promise: Promise<unknown>, ms = 100): Promise<boolean> {
  const open = Symbol('open')
  return (await Promise.race([promise.catch(() => {}), sleep(ms, open)])) === open
}

/** Looks again and again, until it is so. */
export async function eventually(isSo: () => boolean, ms = 10_000): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) {
    if (isSo()) return true
  }
  return isSo()
}

/** A promise to be settled by hand. */
export function gate<T = void>() {
  let open!: (value: T) => void
  const opened = new Promise<T>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** Another process in the middle of an update of `file`: it goes on when it is told to. */
export async function holderOf(file: string): Promise<RunningProcess> {
  const holder = inProcess(
    ({ atomicIndexUpdate, tell, hear }, file) =>
      atomicIndexUpdate(
        file,
        async (index) => {
          const goOn = hear()
          tell('inside')
          await goOn
          return { ...index, n: index.n + 1 }
        },
        { initial: { n: 0 } },
      ),
    [file],
  )
  await holder.next()
  return holder
}

/** One update in a process of its own: `'resolved'`, or what of the error can be sent. */
export function outcomeElsewhere(file: string, options?: ProcessOptions): Promise<any> {
  return inProcess(
    ({ atomicIndexUpdate }, file) =>
      atomicIndexUpdate(file, () => ({ changed: true })).then(
        () => 'resolved',
        ({ code, errno, syscall, path, message }) => ({ code, errno, syscall, path, message }),
      ),
    [file],
    options,
  ).returned
}
