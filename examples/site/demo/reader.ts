/** Reads a site repeatedly while it is built, as a web server does: by name, one file at a time. */

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkFile } from './inspect'

export interface Visit {
  /** How many files were read and checked. */
  reads: number
  torn: number
  /** How often some pages were read between two reads of the front page that found the same build. */
  looks: number
  mixed: number
  faults: string[]
}

const PAGES_A_LOOK = 12
const FILES_AT_ONCE = 50

/** @param files the files of the site at the beginning, all of which must stay there. */
export function visit(folder: string, files: readonly string[], { stamped = false } = {}) {
  const result: Visit = { reads: 0, torn: 0, looks: 0, mixed: 0, faults: [] }
  const checked = new Map<string, string>()
  const pages = files.filter((file) => file.endsWith('/index.html'))
  let stopped = false

  const failed = (what: string, error: unknown): void => {
    result.torn += 1
    result.faults.push(`${what} ${(error as Error).message}`)
  }

  const readOne = async (name: string): Promise<void> => {
    try {
      const { ino, mtimeMs, size } = await stat(join(folder, name))
      const identity = `${ino} ${mtimeMs} ${size}`
      if (checked.get(name) === identity) return
      const bytes = await readFile(join(folder, name))
      result.reads += 1
      await checkFile(name, bytes)
      checked.set(name, identity)
    } catch (error) {
      failed(name, error)
    }
  }

  const buildOf = async (name: string): Promise<string | undefined> =>
    /<meta name="build" content="(\w+)">/.exec(await readFile(join(folder, name), 'utf8'))?.[1]

  /** Build ids do not recur, so if the front page has the same before and after, that build was there all the time. */
  const look = async (): Promise<void> => {
    const before = await buildOf('index.html')
    const builds: Array<string | undefined> = []
    for (let i = 0; i < PAGES_A_LOOK; i++) {
      builds.push(await buildOf(pages[Math.floor(Math.random() * pages.length)] ?? 'index.html'))
    }
    if ((await buildOf('index.html')) !== before) return
    result.looks += 1
    if (builds.every((build) => build === before && build !== undefined)) return
    result.mixed += 1
    result.faults.push(`pages from several builds: ${[...new Set([before, ...builds])].join(', ')}`)
  }

  /** Reads every file that has changed since it was last read. */
  const pass = async (): Promise<void> => {
    for (const [i, name] of files.entries()) {
      await readOne(name)
      if (i % FILES_AT_ONCE > 0) continue
      if (stamped) await look().catch((error: unknown) => failed('a page', error))
      await sleep(1) // Leaves most of the CPU to the builder.
    }
  }
  const loop = async (): Promise<void> => {
    while (!stopped) await pass()
  }
  const done = loop()
  return {
    pass,
    async stop(): Promise<Visit> {
      stopped = true
      await done
      return result
    },
  }
}

/** Reads and checks every file once. */
export async function visitOnce(folder: string, files: readonly string[]): Promise<string[]> {
  const faults: string[] = []
  for (const name of files) {
    await readFile(join(folder, name))
      .then((bytes) => checkFile(name, bytes))
      .catch((error: Error) => faults.push(`${name} ${error.message}`))
  }
  return faults
}
