// How the specs build and run the crash lab.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findCargo, root } from '../../scripts/tools.mjs'
import { builtOnce } from '../helpers/built-once'

export { NO_TIMEOUT } from '../helpers/program'

/**
 * The lab prints a line every few seconds, on a busy machine every few minutes. One that hangs kills its processes after six
 * minutes and says so. One that is silent for this long hangs itself.
 */
const SILENCE_MS = 15 * 60_000

/** How much of what it has printed is shown then: the end tells where it hangs. */
const LAST_LINES = 60

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
const has = (program: string) => folders.some((folder) => existsSync(join(folder, program)))

/** Why the lab cannot run here. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root'
  if (!findCargo()) return 'needs cargo'
  const missing = ['strace', 'mkfs.ext4'].filter((program) => !has(program))
  const devices = ['/dev/fuse', '/dev/loop-control'].filter((device) => !existsSync(device))
  return [...missing, ...devices].map((name) => `needs ${name}`)[0]
}

/** Builds the lab. Returns its program. */
export const build = () => builtOnce('crash-lab')

/** Runs the lab to its end. Rejects only if it hangs. `parent` is the process that the lab expects to be its parent. */
export function run(
  program: string,
  args: string[],
  parent = process.pid,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const lab = spawn(program, [...args, '--parent', String(parent)], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const hang = () => {
      lab.kill('SIGKILL')
      const last = output.split('\n').slice(-LAST_LINES).join('\n')
      reject(new Error(`the crash lab has printed nothing for ${SILENCE_MS / 60_000} minutes:\n${last}`))
    }
    let silence = setTimeout(hang, SILENCE_MS)
    for (const stream of [lab.stdout, lab.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk
        clearTimeout(silence)
        silence = setTimeout(hang, SILENCE_MS)
      })
    }
    lab.on('error', reject)
    lab.on('close', (code) => {
      clearTimeout(silence)
      resolve({ code, output })
    })
  })
}
