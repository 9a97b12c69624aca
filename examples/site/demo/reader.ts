/** Visits a site over and over while it is built, as a web server does: by name, one file at a time. */

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkFile } from './inspect'

export interface Visit {
  /** Files read and found whole or not. */
  reads: number
  torn: number
  /** Looks at some pages in a row, between two at the front page that found the same build. */
  looks: number
  mixed: number
  faults: string[]
}

const PAGES_A_LOOK = 12
const FILES_AT_ONCE = 50

/** @param files the site's at the beginning: what is once there stays there. */
export function visit(folder: string, files: readonly string[], { stamped = false } = {}) {
  const result: Visit = { reads: 0, torn: 0, looks: 0, mixed: 0, faults: [] }
  const checked = new Map<string, string>()
  const pages = files.filter((file) => file.endsWith('/index.html'))
  let stopped = false

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
      result.torn += 1
      result.faults.push(`${name} ${(error as Error).message}`)
    }
  }

  const buildOf = async (name: string): Promise<string | undefined> =>
    /<meta name="build" content="(\w+)">/.exec(await readFile(join(folder, name), 'utf8'))?.[1]

  /** A build id comes once: if it is there before and after, it was all the time. */
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
    result.faults.push(`pages of several builds: ${[...new Set([before, ...builds])].join(', ')}`)
  }

  /** Every file that has changed since it was last visited. */
  const pass = async (): Promise<void> => {
    for (const [i, name] of files.entries()) {
      await readOne(name)
      if (i % FILES_AT_ONCE > 0) continue
      if (stamped) await look()
      await sleep(1) // The builder is to have most of the machine.
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

/** One visit to every file. */
export async function visitOnce(folder: string, files: readonly string[]): Promise<string[]> {
  const faults: string[] = []
  for (const name of files) {
    await readFile(join(folder, name))
      .then((bytes) => checkFile(name, bytes))
      .catch((error: Error) => faults.push(`${name} ${error.message}`))
  }
  return faults
}
