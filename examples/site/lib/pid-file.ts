/**
 * One builder at a time: two would take each other's files for outdated ones. The file lies beside the site's folder,
 * which may be swapped away as a whole.
 *
 * Who makes the file (`wx`: exactly one can) builds. A file that is there may be of a builder that crashed, and its
 * pid may be another program's by now; so the file also says when its process started, and the process of that
 * pid is its builder only if it started then. To take a dead builder's file over is an update under a lock: of
 * two that try, the second finds the first's.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { atomicIndexUpdate, atomicWrite } from '@pipeline/atomic'
import { z } from 'zod'
import { SiteError } from './errors'

const schema = z.object({ pid: z.number().int().positive(), started: z.string(), host: z.string() })

type Owner = z.infer<typeof schema>

/** Beside `out`, whatever name it is called by. */
export async function pidFileOf(out: string): Promise<string> {
  const real = await realpath(out).catch(() => out)
  return join(dirname(real), `.${basename(real)}.site.pid`)
}

/** The file went while it was looked at: its builder is done. */
class Vanished extends Error {}

/**
 * @returns what gives the place back. The exit of the process does as well, but for a crash.
 * @throws SiteError if another builder is at work.
 */
export async function becomeBuilder(file: string): Promise<() => void> {
  const mine: Owner = { pid: process.pid, started: startOf(process.pid) ?? '', host: hostname() }
  await claim(file, mine)
  const release = () => {
    process.off('exit', release)
    remove(file, mine)
  }
  process.on('exit', release)
  return release
}

async function claim(file: string, mine: Owner): Promise<void> {
  for (;;) {
    try {
      // Flushed: half a file after a power cut would be nobody's, and in everybody's way.
      await atomicWrite(file, `${JSON.stringify(mine)}\n`, { flag: 'wx' })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    try {
      await takeOver(file, mine)
      return
    } catch (error) {
      if (!(error instanceof Vanished)) throw error
    }
  }
}

async function takeOver(file: string, mine: Owner): Promise<void> {
  await atomicIndexUpdate(
    file,
    (index: unknown) => {
      if (index === undefined) throw new Vanished()
      const owner = schema.safeParse(index)
      if (!owner.success)
        throw new SiteError(`${file} is no pid file of a builder; remove it if it is in the way`)
      refuseLiving(owner.data, file)
      return mine
    },
    { space: 0 },
  ).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_ATOMIC_CORRUPT_INDEX') throw error
    throw new SiteError(`${file} is no pid file of a builder; remove it if it is in the way`)
  })
}

function refuseLiving({ pid, started, host }: Owner, file: string): void {
  if (host !== hostname()) {
    throw new SiteError(`process ${pid} on ${host} builds this site; if it is gone, remove ${file}`)
  }
  if (startOf(pid) !== started) return
  throw new SiteError(`process ${pid} is building this site; wait for it, or end it`)
}

function remove(file: string, mine: Owner): void {
  try {
    const owner = schema.parse(JSON.parse(readFileSync(file, 'utf8')))
    if (owner.pid === mine.pid && owner.started === mine.started) rmSync(file)
  } catch {
    // Not there any more, or somebody else's: then it is not ours to remove.
  }
}

/** When the process started, in whatever form the system tells it; `undefined` if there is none. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      // Ticks since boot, and which boot. The name in parentheses may hold anything, also spaces.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      if (fields[0] === 'Z') return undefined
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`
    }
    if (process.platform === 'win32') {
      // No such thing without a program that may not be there: a living process of that pid counts.
      process.kill(pid, 0)
      return ''
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      env: { LC_ALL: 'C', TZ: 'UTC' },
    }).trim()
  } catch {
    return undefined
  }
}
