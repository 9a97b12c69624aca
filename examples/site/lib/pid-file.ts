/**
 * Allows one builder at a time: two would remove each other's files as outdated. The pid file is beside the site's
 * folder, because the folder may be swapped as a whole.
 *
 * The process that creates the file (with `wx`, so only one can) builds. An existing file may be from a builder that
 * crashed, and its pid may have been reused. The file therefore also has the start time of its process: the builder is
 * alive only if a process with this pid and this start time exists. A dead builder's file is taken over by an
 * update under a lock, so if two processes try, the second finds the file of the first.
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

/** The pid file is beside the real path of `out`, also if `out` is a symbolic link. */
export async function pidFileOf(out: string): Promise<string> {
  const real = await realpath(out).catch(() => out)
  return join(dirname(real), `.${basename(real)}.site.pid`)
}

/** The file was removed while it was read: its builder has finished. */
class Vanished extends Error {}

/**
 * @returns a function that removes the pid file. The exit of the process also does, unless it is a crash.
 * @throws SiteError if another builder is running.
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
      // Flushed (the default): an incomplete pid file after a power cut would block every builder.
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
        throw new SiteError(`${file} is not a valid pid file; if no builder is running, remove it`)
      refuseLiving(owner.data, file)
      return mine
    },
    { space: 0 },
  ).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_ATOMIC_CORRUPT_INDEX') throw error
    throw new SiteError(`${file} is not a valid pid file; if no builder is running, remove it`)
  })
}

function refuseLiving({ pid, started, host }: Owner, file: string): void {
  if (host !== hostname()) {
    throw new SiteError(
      `process ${pid} on ${host} is building this site; if it does not run any more, remove ${file}`,
    )
  }
  if (startOf(pid) !== started) return
  throw new SiteError(`process ${pid} is building this site; wait for it, or end it`)
}

function remove(file: string, mine: Owner): void {
  try {
    const owner = schema.parse(JSON.parse(readFileSync(file, 'utf8')))
    if (owner.pid === mine.pid && owner.started === mine.started) rmSync(file)
  } catch {
    // The file is missing or belongs to another builder: there is nothing to remove.
  }
}

/** The start time of the process, in the system's format; `undefined` if there is no such process. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      // Ticks since boot, with the id of the boot. The program name in parentheses may contain spaces.
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      if (fields[0] === 'Z') return undefined
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${fields[19]}`
    }
    if (process.platform === 'win32') {
      // The start time is only known to programs that may not be installed, so any process with this pid counts.
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
