/** One build in a process of its own: the command line of this example, nothing else. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const CLI = join(__dirname, '../cli.ts')
/** `--require` runs TypeScript in the process itself; the tsx command would put one between us and the builder. */
const TSX = require.resolve('tsx/cjs')

const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export interface Outcome {
  /** `null`: killed. */
  code: number | null
  ms: number
  stdout: string
  stderr: string
}

export interface Builder {
  ended: Promise<Outcome>
  kill(signal: NodeJS.Signals): void
}

export function startBuilder(args: readonly string[]): Builder {
  const started = Date.now()
  const child = spawn(process.execPath, ['--require', TSX, CLI, 'build', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child)
    return { code: code as number | null, ms: Date.now() - started, ...said }
  })
  return { ended, kill: (signal) => child.kill(signal) }
}

/** @throws with what it said if it did not build. */
export async function buildToTheEnd(args: readonly string[]): Promise<Outcome> {
  const outcome = await startBuilder(args).ended
  if (outcome.code === 0) return outcome
  throw new Error(`a builder ended with ${outcome.code ?? 'a signal'}\n${outcome.stderr.trim()}`)
}

/** Ends every builder and waits until it has. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...running].map((child) => {
      child.kill('SIGKILL')
      return child.exitCode === null && child.signalCode === null ? once(child, 'close') : undefined
    }),
  )
}
