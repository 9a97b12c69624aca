/** A build in a child process, which runs the command line of this example. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { bundle } from '../../pipeline/demo/bundle'

/** The command line, as one file in `folder`: where all builders find it. */
export const bundleCli = (folder: string) => bundle(join(__dirname, '../cli.ts'), folder)

const running = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export interface Outcome {
  /** `null` if it was killed. */
  code: number | null
  ms: number
  stdout: string
  stderr: string
}

export interface Builder {
  ended: Promise<Outcome>
  kill(signal: NodeJS.Signals): void
}

export function startBuilder(cli: string, args: readonly string[]): Builder {
  const started = Date.now()
  const child = spawn(process.execPath, [cli, 'build', ...args], {
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

/** @throws Error with what the builder wrote to stderr, if the build failed. */
export async function buildToTheEnd(cli: string, args: readonly string[]): Promise<Outcome> {
  const outcome = await startBuilder(cli, args).ended
  if (outcome.code === 0) return outcome
  throw new Error(`a builder ended with ${outcome.code ?? 'a signal'}\n${outcome.stderr.trim()}`)
}

/** Kills every builder and waits until all of them have ended. */
export async function killAll(): Promise<void> {
  await Promise.all(
    [...running].map((child) => {
      child.kill('SIGKILL')
      return child.exitCode === null && child.signalCode === null ? once(child, 'close') : undefined
    }),
  )
}
